"""Give a folder of Parquet files the metadata of a Petastorm dataset, or write it anew after files were added.

    python -m loaders.petastorm.etl.petastorm_generate_metadata --dataset_url file:///data/set \\
        --unischema_class my_package.schemas.MySchema
"""

from __future__ import annotations

import argparse
import pydoc
from collections.abc import Sequence
from typing import TYPE_CHECKING

from loaders.petastorm.errors import PetastormMetadataError
from loaders.petastorm.etl._materialize import materialize_dataset
from loaders.petastorm.etl.dataset_metadata import get_schema_from_dataset_url
from loaders.petastorm.unischema import Unischema

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def generate_petastorm_metadata(
    spark: SparkSession | None,
    dataset_url: str,
    unischema_class: str | None = None,
    use_summary_metadata: bool = False,
    hdfs_driver: str = "libhdfs3",
) -> None:
    """Write the metadata of a dataset from the footers of its files.

    An index of row groups stays if the files are those that it was made of. The session is not stopped.

    Args:
        spark: Not needed: the footers are read here. None is fine.
        dataset_url: Folder of the dataset.
        unischema_class: Where Python finds the schema, as in `package.module.MySchema`, which is imported; None takes
            the one that the dataset has.
        use_summary_metadata: Write `_metadata` too, which repeats the footers of all files.
        hdfs_driver: Taken for Petastorm's sake.

    Raises:
        ValueError: If there is no such schema, or none is named and the dataset has none.
        PetastormMetadataGenerationError: If there is no Parquet file, or a field of the schema is not in them.
    """
    if unischema_class:
        schema = pydoc.locate(unischema_class)
        if not isinstance(schema, Unischema):
            raise ValueError(f"The specified class {unischema_class} is not an instance of a petastorm.Unischema")
    else:
        try:
            schema = get_schema_from_dataset_url(dataset_url, hdfs_driver=hdfs_driver)
        except PetastormMetadataError as error:
            raise ValueError(
                "Unischema class could not be located in existing dataset, please specify it as unischema_class"
            ) from error
    with materialize_dataset(spark, dataset_url, schema, use_summary_metadata=use_summary_metadata):
        pass  # the files are there


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset_url", required=True, help="folder of the dataset")
    parser.add_argument("--unischema_class", help="where Python finds the schema; default: the stored one")
    parser.add_argument("--use-summary-metadata", action="store_true", help="write `_metadata` too")
    parser.add_argument("--spark-driver-memory", help="taken for Petastorm's sake; no Spark is started")
    parser.add_argument("--hdfs-driver", default="libhdfs3", help="taken for Petastorm's sake")
    parser.add_argument("--master", help="taken for Petastorm's sake; no Spark is started")
    args = parser.parse_args(argv)
    generate_petastorm_metadata(
        None, args.dataset_url, args.unischema_class, args.use_summary_metadata, hdfs_driver=args.hdfs_driver
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
