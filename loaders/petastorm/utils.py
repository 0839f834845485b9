"""Small things of Petastorm's that people call by themselves."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from loaders.errors import PlacedError
from loaders.petastorm.codecs import single
from loaders.petastorm.kinds import Row, Value

if TYPE_CHECKING:
    from loaders.petastorm.rowgroups.folder import ParquetFolder
    from loaders.petastorm.unischema import Unischema, UnischemaField

T = TypeVar("T")


class DecodeFieldError(PlacedError, RuntimeError):
    """A value of a field cannot be decoded; the cause says why.

    Attributes:
        row: Row among those that were decoded together, counted from 0; None if unknown.
        column: Name of the field.
    """


def decode_row(row: Mapping[str, Value], schema: Unischema) -> Row:
    """Return the values of one row, of which the stored ones are given; names that the schema lacks are left out.

    Raises:
        DecodeFieldError: If one cannot be decoded.
    """
    return {name: _decoded(schema.fields[name], value) for name, value in row.items() if name in schema.fields}


def run_in_subprocess(func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Return what a function gives in a process of its own, whose memory is free again afterwards.

    Args:
        func: A function of a module, not a lambda.
        args: What it is given.
        kwargs: What it is given by name.

    Raises:
        concurrent.futures.process.BrokenProcessPool: If the process ends before; a script that calls this without
            `if __name__ == "__main__":` is such a case, since the process imports it again.
    """
    # Not multiprocessing's Pool: it starts a process that cannot start again and again, for ever.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(func, *args, **kwargs).result()


def add_to_dataset_metadata(dataset: ParquetFolder, key: bytes | str, value: bytes | str) -> None:
    """Put a value beside a dataset, into its `_common_metadata`, which is replaced whole; what else is there stays.

    Args:
        dataset: A folder, opened; it knows the value then too.
        key: Under which the value is found.
        value: What is stored.

    Raises:
        ValueError: If it is a list of files and no folder.
        StorageError, OSError: If the folder cannot be written to.
    """
    key = key.encode() if isinstance(key, str) else key
    put_metadata(dataset, {key: value.encode() if isinstance(value, str) else value})


def put_metadata(dataset: ParquetFolder, values: Mapping[bytes, bytes]) -> None:
    """Put several values beside a dataset, all or none; see `add_to_dataset_metadata`."""
    from loaders.petastorm.etl._storing import Place  # stands on the file systems, which decoding does not need

    if dataset.is_single_list:
        raise ValueError("Expected dataset.paths to be a single path, not a list of paths")
    place = Place(dataset.root, filesystem=dataset.spec().options.filesystem)
    found = next((name for name in ("_common_metadata", "_metadata") if place.has(name)), dataset.names[0])
    with place.store.open_input_file(f"{place.path}/{found}") as stream:
        columns = pq.read_schema(stream)
    sink = pa.BufferOutputStream()
    pq.write_metadata(columns.with_metadata({**(columns.metadata or {}), **values}), sink)
    place.put("_common_metadata", sink.getvalue().to_pybytes())
    dataset.metadata.update(values)


def _decoded(field: UnischemaField, value: Value) -> Value:
    if value is None:
        return None
    try:
        return single(field.numpy_dtype, value) if field.codec is None else field.codec.decode(field, value)
    except Exception as error:
        raise DecodeFieldError(f'Decoding field "{field.name}" failed: {error}', column=field.name) from error
