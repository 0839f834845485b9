"""Show what the metadata of a dataset says: its schema and its indexes of row groups.

    python -m loaders.petastorm.etl.metadata_util --dataset-url file:///data/set --index --print-values
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence

from loaders.petastorm.etl import RowGroupIndexerBase
from loaders.petastorm.etl.dataset_metadata import get_schema
from loaders.petastorm.etl.rowgroup_indexing import get_row_group_indexes
from loaders.petastorm.rowgroups.folder import ParquetFolder, open_folder


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset-url", required=True, help="folder of the dataset")
    parser.add_argument("--schema", action="store_true", help="show the schema alone")
    parser.add_argument("--index", action="store_true", help="show the indexes alone")
    parser.add_argument("--print-values", action="store_true", help="show the row groups of each indexed value")
    parser.add_argument("--skip-index", nargs="+", default=[], help="do not show the values of these indexes")
    parser.add_argument("--hdfs-driver", default="libhdfs3", help="taken for Petastorm's sake")
    args = parser.parse_args(argv)
    folder = open_folder(args.dataset_url)
    shows_all = not args.schema and not args.index
    try:
        if args.schema or shows_all:
            sys.stdout.write(f"*** Schema from dataset metadata ***\n{get_schema(folder)}\n")
        if args.index or shows_all:
            sys.stdout.write("*** Row group indexes from dataset metadata ***\n")
            sys.stdout.writelines(_index_lines(folder, skipped=args.skip_index, with_groups=args.print_values))
    finally:
        folder.close()
    return 0


def _index_lines(folder: ParquetFolder, *, skipped: Sequence[str], with_groups: bool) -> Iterator[str]:
    try:
        indexes: Mapping[str, RowGroupIndexerBase] = get_row_group_indexes(folder)
    except ValueError as error:
        yield f"{error}\n"
        return
    for name, index in indexes.items():
        yield f"Index: {name}\n"
        if name in skipped:
            yield "  (skipped)\n"
            continue
        for value in index.indexed_values:
            groups = index.get_row_group_indexes(value)
            yield f"  -- {value}({len(groups)})\n"
            if with_groups:
                yield f"{sorted(groups)}\n"


if __name__ == "__main__":
    raise SystemExit(main())
