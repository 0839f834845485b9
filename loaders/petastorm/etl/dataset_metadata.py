"""What Petastorm stores beside the data: its schema and how many row groups each file has."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from loaders.petastorm.errors import PetastormMetadataError, PetastormMetadataGenerationError
from loaders.petastorm.etl._materialize import ROW_GROUPS_PER_FILE_KEY, UNISCHEMA_KEY, materialize_dataset
from loaders.petastorm.etl.legacy import read_unischema
from loaders.petastorm.kinds import FileSystem, Settings
from loaders.petastorm.rowgroups.folder import ParquetFolder, Piece
from loaders.petastorm.unischema import Unischema

logger = logging.getLogger(__name__)

__all__ = [
    "ROW_GROUPS_PER_FILE_KEY", "UNISCHEMA_KEY", "PetastormMetadataError", "PetastormMetadataGenerationError",
    "get_schema", "get_schema_from_dataset_url", "infer_or_load_unischema", "load_row_groups", "materialize_dataset",
]  # fmt: skip

_HOW_TO_MAKE_IT = (
    "Use materialize_dataset(..) in loaders.petastorm.etl.dataset_metadata to generate it in your ETL code. You can "
    "generate it on an existing dataset using petastorm-generate-metadata.py"
)


def get_schema(dataset: ParquetFolder) -> Unischema:
    """Return the schema that is stored with a dataset. Nothing is unpickled.

    Raises:
        PetastormMetadataError: If there is none.
        UnsafePickleError: If what is stored names or does what no schema does.
        FormatError: If it is no schema.
    """
    if not dataset.metadata:
        raise PetastormMetadataError(f"Could not find _common_metadata file. {_HOW_TO_MAKE_IT}")
    if UNISCHEMA_KEY not in dataset.metadata:
        raise PetastormMetadataError(
            f"Could not find the unischema in the dataset common metadata file. {_HOW_TO_MAKE_IT}"
        )
    return read_unischema(dataset.metadata[UNISCHEMA_KEY])


def get_schema_from_dataset_url(
    dataset_url_or_urls: str | Path | Sequence[str],
    hdfs_driver: str = "libhdfs3",
    storage_options: Settings | None = None,
    filesystem: FileSystem = None,
) -> Unischema:
    """Return the schema that is stored with the dataset at a URL; raises as `get_schema`.

    Args:
        dataset_url_or_urls: Of a folder, or of several files.
        hdfs_driver: Accepted; there is one driver.
        storage_options: For fsspec.
        filesystem: A filesystem of fsspec or pyarrow to use instead.
    """
    from loaders.petastorm.fs_utils import open_dataset

    dataset = open_dataset(
        dataset_url_or_urls, hdfs_driver=hdfs_driver, storage_options=storage_options, filesystem=filesystem
    )
    try:
        return get_schema(dataset)
    finally:
        dataset.close()


def infer_or_load_unischema(dataset: ParquetFolder) -> Unischema:
    """Return the schema that is stored with a dataset, or, where there is none, that of its columns."""
    try:
        return get_schema(dataset)
    except PetastormMetadataError:
        logger.info("unischema inferred dataset=%s reason='no schema is stored'", dataset.root)
        return Unischema.from_arrow_schema(dataset)


def load_row_groups(dataset: ParquetFolder) -> list[Piece]:
    """Return the row groups of a dataset, in their order: by path of the file, then by ordinal in it."""
    return list(dataset.pieces)
