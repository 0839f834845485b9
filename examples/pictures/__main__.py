"""Make the pictures of docs/pictures: a lake of files that are drawn here, shown by `petrel view` in Chromium.

    python -m examples.pictures                          # all of them, about a minute
    python -m examples.pictures --only entity --home .demo/pictures

Needs Chromium on the path, and `pip install 'petrel-lakehouse[view,dev]'`. Files,
answers and days are the same each time.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from examples.pictures.lake import demo_lake
from examples.pictures.shots import take
from jobs.common import guarded
from jobs.output import say
from lakehouse.errors import EnvironmentProblemError

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.pictures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=Path, default=PICTURES, help="folder of the pictures (default: docs/pictures)")
    parser.add_argument("--only", default="", help="only pictures whose name has this in it")
    parser.add_argument("--home", type=Path, help="folder that keeps the lake (default: one that goes)")
    args = parser.parse_args(argv)
    return guarded(lambda: _make(args), verbose=True)


def _make(args: argparse.Namespace) -> int:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise EnvironmentProblemError("no Chromium on this machine; install it: apt-get install chromium")
    args.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as gone:
        home = args.home or Path(gone)
        home.mkdir(parents=True, exist_ok=True)
        with demo_lake(home) as (lake, ids):
            for picture in take(lake, ids, args.to, chromium=chromium, only=args.only, scratch=home / "previews"):
                say(f"{picture}: {picture.stat().st_size / 1e3:,.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
