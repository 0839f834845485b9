"""Look at a lake in a browser: pictures, sound, video and texts with what is said about them.

    petrel view --lake my_lake
    petrel view --lake my_lake --sql "select entity_id, brightness from entities_wide order by brightness limit 500"
    petrel view --lake my_lake --annotate --actor human:ada
    petrel view --lake my_lake --export pages --sql "select entity_id from members where name = 'species' limit 300"

The server answers on 127.0.0.1 alone, to whoever has the address that is printed (it holds a secret), until Ctrl-C.
Without --annotate nothing is written. With --export no server is started: the folder holds the same pages for these
rows, opens from disk, and asks no network for anything. Needs `pip install 'petrel-lakehouse[view]'`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from jobs.common import main_of
from jobs.output import say
from lakehouse.config import Config
from lakehouse.errors import ConfigError, EnvironmentProblemError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("--sql", default="", help="one SELECT with entity_id: what to show (default: everything)")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--annotate", action="store_true", help="let the person who looks answer questions")
    parser.add_argument("--actor", default="", help="who that is: human:NAME")
    parser.add_argument("--open", action="store_true", help="open the browser of this machine")
    parser.add_argument("--export", type=Path, metavar="PLACE", help="write static pages: a folder, or NAME.html")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    if args.annotate != bool(args.actor):
        raise ConfigError("--annotate and --actor human:NAME: give both, so that each answer has somebody who said it")
    if args.export is not None and args.annotate:
        raise ConfigError("--export and --annotate: pages without a server cannot be answered; give one of them")
    if args.export is None:  # then this process does nothing else, and nothing that it shows is a frame
        from lakehouse.lean import arrow_without_pandas, share_arenas

        share_arenas()
        arrow_without_pandas()
    try:
        from lakehouse.viewing.serve import serve
    except ModuleNotFoundError as error:
        raise EnvironmentProblemError(
            f"{error.name} is missing; install it: pip install 'petrel-lakehouse[view]'"
        ) from None
    from lakehouse.opening import open_lake

    with open_lake(config) as lake:
        if args.export is not None:
            from lakehouse.viewing.export import export_pages

            say(export_pages(lake, args.export, sql=args.sql))
            return 0

        def tell(address: str) -> None:
            # The question stands behind #, which no server gets; the page reads it.
            address += f"#/grid?sql={quote(args.sql)}" if args.sql else ""
            say(f"open {address}")
            sys.stdout.flush()
            if args.open:
                import webbrowser

                webbrowser.open(address)

        serve(lake, scratch=lake.scratch / "previews", port=args.port, actor=args.actor, tell=tell, first=args.sql)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
