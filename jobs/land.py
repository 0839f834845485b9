"""Bring the files of a folder or bucket into the lake: bytes become objects, every file a row of bronze.landed_files.

    ./spark-submit.sh jobs/land.py --lake my_lake --source photos --folder drops/2024-06-01
    petrel land --lake my_lake --source photos --folder drops/2024-06-01
    petrel land --lake my_lake --source photos --folder s3://bucket/drops/2024-06-01 --mode link
    petrel land --lake my_lake --source photos --folder data --follow-links --links-root .dvc/cache
    petrel land --lake my_lake --source photos --folder drops/archives --form archives
    petrel land --lake my_lake --pipeline conf/pipelines/digits.toml
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from lakehouse.errors import ConfigError
from lakehouse.ingestion.sources.forms import CAPTURE, CONTAINERS, FILES
from lakehouse.ingestion.sources.source import MODES, Source
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.config import Config
    from lakehouse.lake import Lake

MAKES_LAKE = True
"""The first step of all: a lake that is missing is made."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    parser.add_argument("--source", help="name of the source; with --pipeline: land only this one")
    parser.add_argument("--folder", help="folder to land, searched recursively, or s3://bucket/prefix")
    parser.add_argument("--drop", default="main", help="name of this delivery (default: main)")
    parser.add_argument("--mode", choices=MODES, default="copy",
                        help="copy the bytes, or link: keep them where they are")
    parser.add_argument("--include", action="append", default=[], metavar="PATTERN", help="land only these names")
    parser.add_argument("--follow-links", action="store_true",
                        help="read symbolic links that stay below the folder (default: refuse them, with a reason)")
    parser.add_argument("--links-root", action="append", default=[], metavar="FOLDER",
                        help="with --follow-links: links may lead into this folder too, such as the cache of DVC")
    parser.add_argument("--form", choices=(FILES, *CONTAINERS), default=FILES,
                        help="what is in the folder: files, archives of them, or shards; other forms need a pipeline")
    parser.add_argument("--pipeline", metavar="FILE", help="take the sources from a pipeline file")


def check(args: argparse.Namespace, config: Config) -> None:
    """Refuse what cannot be landed before a lake is made for it."""
    from lakehouse.ingestion.sources.delivery import check_source

    for source in sources_of(args):
        check_source(source, config.stores.values())


def run(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    """Land one folder, or the sources of a pipeline."""
    for source in sources_of(args):
        yield from land_source(lake, source)


def land_source(lake: Lake, source: Source) -> Iterator[Receipt]:
    """Land one source of whatever form."""
    from lakehouse.ingestion.land import land

    if source.form == CAPTURE:
        from lakehouse.serving.capture import capture

        yield from capture(lake, source)
    else:
        yield land(lake, source)


def sources_of(args: argparse.Namespace) -> list[Source]:
    """Return the source, or those of the pipeline, that arguments name.

    Raises:
        ConfigError: If they name none.
    """
    if args.pipeline:
        from jobs.pipeline import chosen, load_pipeline

        return chosen(args.pipeline, load_pipeline(args.pipeline).sources, args.source, kind="source")
    if not (args.source and args.folder):
        raise ConfigError("give --source NAME and --folder FOLDER, or --pipeline FILE")
    return [
        Source(
            name=args.source, folder=args.folder, drop=args.drop, mode=args.mode, include=tuple(args.include),
            follow_links=args.follow_links, links_roots=tuple(args.links_root), form=args.form,
        )
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
