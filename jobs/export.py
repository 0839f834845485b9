"""Write what a query or a dataset selects, with its bytes, to a folder or bucket for programs that know no lake.

    petrel export --lake my_lake --dataset species --format imagefolder --to out/species
    petrel export --lake my_lake --dataset species --format webdataset --to s3://bucket/species --shard-mb 256
    petrel export --lake my_lake --format parquet --to out/wide \\
        --sql "select entity_id, width from entities_wide where width > \\$least" --param least=640
    ./spark-submit.sh jobs/export.py --lake my_lake --dataset species --format manifest --to out/list

A query returns entity_id, and may return label, split (both text) and columns of its own. imagefolder: one file each,
<split>/<label>/<entity id>.<ending>; parquet: bytes and columns; webdataset: tar files with a JSON file beside each
entity; manifest: a line of JSON each, with the URI of its bytes; coco, yolo: pictures with their boxes, outlines, masks
or keypoints; csv: files and metadata.csv; hf: Parquet and a card, for `datasets.load_dataset(folder)`; mds: shards of
MosaicML Streaming. docs/export.md says what each loses. The place must be missing, empty, or hold this very
export: then nothing is written, or what a killed run has not written. It is whole when `_export.json` stands there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of, parameters
from lakehouse.errors import ConfigError
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake

FORMATS = ("coco", "csv", "hf", "imagefolder", "manifest", "mds", "parquet", "webdataset", "yolo")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--dataset", help="name of a dataset (the version built last) or a version id")
    given.add_argument("--sql", metavar="QUERY", help="one SELECT with entity_id; `$name` stands for a parameter")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="value of a parameter")
    parser.add_argument("--format", choices=FORMATS, required=True, help="how it is written")
    parser.add_argument("--to", metavar="FOLDER|URL", required=True, help="folder or URL, missing or empty")
    parser.add_argument(
        "--shard-mb", type=int, metavar="MB",
        help="hf, mds, parquet, webdataset: size of one file at most (default: 256)",
    )  # fmt: skip


def run(lake: Lake, args: argparse.Namespace) -> Receipt:
    """Run the step."""
    from lakehouse.datasets.recipes.recipe import NAME
    from lakehouse.exporting.step import FORMATS as KNOWN
    from lakehouse.exporting.step import SHARD_BYTES, export

    if args.sql is not None and NAME.fullmatch(args.sql):
        raise ConfigError(f"--sql {args.sql}: is no query; the dataset of this name is --dataset {args.sql}")
    if args.dataset is not None and not NAME.fullmatch(args.dataset):
        raise ConfigError(f"--dataset {args.dataset}: is no name of a dataset; a query is given as --sql")
    if args.shard_mb is not None and not KNOWN[args.format].is_cut:
        raise ConfigError(f"--shard-mb {args.shard_mb}: {args.format} has no shards; leave it out")
    selection = args.sql if args.dataset is None else args.dataset
    size = SHARD_BYTES if args.shard_mb is None else args.shard_mb << 20
    params = parameters(args.param)
    return export(lake, selection, format=args.format, to=args.to, params=params, shard_bytes=size)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
