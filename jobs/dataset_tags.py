"""Name versions of datasets, and show the names.

petrel dataset tag digits@3f2c91 paper --message "what the paper was trained on"
petrel dataset tag digits paper                   # the version built last: the tag moves, and says so
petrel dataset tags digits
petrel materialise --dataset digits@paper         # a tag stands wherever a dataset is named
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from jobs.common import Verb
from jobs.output import say_rows
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake

SHOWN = ("name", "tag", "dataset_id", "holds", "tagged_at", "tagged_by", "message")


def _arguments_of_tag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", help="NAME@VERSION, an id, or a name for the version built last")
    parser.add_argument("tag", help="up to 64 letters, digits, dots, _ and -")
    parser.add_argument("--message", default="", help="why, for people")


def _arguments_of_tags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="name of a dataset (default: all)")


def _tag(lake: Lake, args: argparse.Namespace) -> Receipt:
    from lakehouse.datasets.versions.tags import tag_dataset

    return tag_dataset(lake, args.dataset, args.tag, message=args.message)


def _tags(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    from lakehouse.datasets.versions.find import find_dataset
    from lakehouse.datasets.versions.tags import dataset_tags

    rows = dataset_tags(lake, args.name)
    if args.name and not rows:
        find_dataset(lake, args.name)
    none = "no tag yet; set one with `petrel dataset tag NAME@VERSION TAG`"
    say_rows(SHOWN, rows, as_json=args.json, none=none)
    return iter(())


_WHAT = (__doc__ or "").partition("\n")[2]

TAG = Verb("Name a version of a dataset.\n" + _WHAT, _arguments_of_tag, _tag)
TAGS = Verb("Show the tags of datasets, and where they pointed before.\n" + _WHAT, _arguments_of_tags, _tags)
