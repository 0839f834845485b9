"""Write a dataset version to a file for git, and record it from there in another lake that has the same files.

    petrel dataset freeze --lake my_lake digits@paper --to digits.json
    petrel dataset restore --lake other_lake digits.json
    petrel materialise --lake other_lake --dataset digits

The file holds recipe, members, labels, splits and reasons, and no bytes: some 100 bytes a member. The other lake gets
the same version id and, materialised, the same rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from jobs.common import Verb
from jobs.output import say
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def _arguments_of_freeze(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", help="NAME, NAME@TAG, NAME@VERSION, or an id")
    parser.add_argument("--to", metavar="FILE", required=True, help="the file; what is there is replaced")


def _arguments_of_restore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="file of `petrel dataset freeze`")


def _freeze(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    from lakehouse.datasets.versions.frozen import freeze

    size = freeze(lake, args.dataset, args.to)
    say(f"{args.to}: {size:,} bytes; `petrel dataset restore` records it in another lake")
    return iter(())


def _restore(lake: Lake, args: argparse.Namespace) -> Receipt:
    from lakehouse.datasets.versions.frozen import restore

    return restore(lake, args.file)


_WHAT = (__doc__ or "").partition("\n")[2]

FREEZE = Verb("Write a dataset version to a file for git.\n" + _WHAT, _arguments_of_freeze, _freeze)
RESTORE = Verb("Record a dataset version from a file of `freeze`.\n" + _WHAT, _arguments_of_restore, _restore)
