"""Open what a reader reads: the split, the rows that are chosen of it, and how its columns are held."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from loaders.decoding.decoders import AnyDecoder
from loaders.decoding.values import Batch, dense_shape
from loaders.engine.engine import JoinedSplits, Reading
from loaders.engine.objects import objects_of
from loaders.errors import CorruptionError, ForbiddenError, FormatError
from loaders.format.fields import Field
from loaders.format.manifest import DATASET, UNFINISHED, read_dataset
from loaders.options import ReadOptions, Shard
from loaders.ordering.bounds import Bounds, bounds_of
from loaders.ordering.epochs import ByWeight, Epochs, Once
from loaders.ordering.selection import Selection, select
from loaders.ordering.sequences import Sequence as SampleSequence
from loaders.ordering.weights import Weights, read_draws
from loaders.reading.expansion import EXPANSION, FREE_BYTES
from loaders.reading.joined import joined_manifest
from loaders.reading.layout import ReadColumn, columns_of
from loaders.reading.loading import direct_pages
from loaders.reading.source import SplitFiles
from loaders.stores.schemes import open_files, open_storage
from loaders.stores.storage import Files


def open_reading(
    path_or_url: str | Path,
    *,
    columns: Sequence[str] | None,
    decoders: Mapping[str, AnyDecoder],
    splits: Sequence[str] | None,
    filter: object,
    sequence: SampleSequence | None,
    weights: str | Weights | None,
    options: ReadOptions,
    transform: Callable[[Batch], Batch] | None,
    shard: Shard,
) -> Reading:
    """Open a split; the arguments are those of `make_reader`.

    Raises:
        FormatError: If it is no published split, or the arguments do not fit it.
        CorruptionError: If a file is missing or cut.
    """
    joined, numbers = (None, None) if splits is None else joined_manifest(path_or_url, splits, options.storage)
    files = open_files(path_or_url, options.storage)
    try:
        split = SplitFiles(files, columns=columns, manifest=joined)
        if joined is None and _is_marked(files):
            _check_published(path_or_url, split, options)
        _check_decoders(decoders, split.fields)
        objects = objects_of(split.manifest.fields, split.fields, decoders, options)
        selection = _selected(split, filter, sequence, options)
        epochs = _epochs(split, selection, weights, options)
        columns_held = columns_of(split.fields, files.is_local, decoders)
        _check_sizes(columns_held, split, options)
        held = tuple(_settled(split, column) for column in columns_held)
        joint = None if splits is None else JoinedSplits(tuple(splits), np.asarray(numbers, dtype=np.int64))
        return Reading(split, selection, epochs, held, dict(decoders), options, transform, shard, objects, joint)
    except BaseException:
        files.close()
        raise


def _is_marked(files: Files) -> bool:
    try:
        files.read(UNFINISHED, 0, 1)  # one request; unlike a question for its size its refusal says why
    except FileNotFoundError:
        return False
    except ForbiddenError:
        return False  # who may not list is told 403 of a name that is missing; the manifest could be read
    except CorruptionError:
        return True  # an empty one, or what is no file
    return True


def _check_published(path_or_url: str | Path, split: SplitFiles, options: ReadOptions) -> None:
    """Let a split be read whose publisher was killed after it had put `_dataset.json`, and no other.

    Raises:
        FormatError: If it is not published yet.
    """
    above, _, name = str(path_or_url).rstrip("/").rpartition("/")
    try:
        entry = read_dataset(open_storage(above, options.storage)).splits.get(name)
    except FormatError:
        entry = None
    if entry is None or entry.manifest_sha256 != split.manifest.sha256:
        raise FormatError(
            f"{split.folder} is no published dataset: it is being published, or its publisher was killed; "
            f"{above}/{DATASET} is put last: wait for it, or publish it again"
        )


def _selected(split: SplitFiles, filter: object, sequence: SampleSequence | None, options: ReadOptions) -> Selection:
    manifest = split.manifest

    def statistics(group: int, field: Field) -> Bounds:
        return bounds_of(split.statistics(group, field.name), field, split.rows_by_group[group])

    with ThreadPoolExecutor(options.read_threads) as pool:
        return select(
            manifest.fields, manifest.fingerprint, split.rows_by_group, filter=filter, sequence=sequence,
            statistics=statistics, read_columns=split.read_group, spread=pool.map,
        )  # fmt: skip


def _epochs(split: SplitFiles, selection: Selection, weights: str | Weights | None, options: ReadOptions) -> Epochs:
    strata = split.manifest.stratum_by_group
    if weights is None:
        return Once(selection, strata, split.starts)
    weights = Weights(weights) if isinstance(weights, str) else weights
    if not isinstance(weights, Weights):
        raise FormatError(f"weights must be the name of a column, Weights(...) or None, found {weights!r}")
    with ThreadPoolExecutor(options.read_threads) as pool:
        draws = read_draws(weights, split.manifest.fields, selection, read_columns=split.read_group, spread=pool.map)
    return ByWeight(selection, draws, strata)


def _settled(split: SplitFiles, column: ReadColumn) -> ReadColumn:
    """Read rows straight from the file only if they were written one to a page."""
    if not column.is_direct:
        return column
    for group in range(len(split.rows_by_group)):
        try:
            return column if direct_pages(split, group, column) is not None else replace(column, is_direct=False)
        except CorruptionError:  # an error of its rows, when they are read
            continue
    return column


def _check_sizes(columns: Sequence[ReadColumn], split: SplitFiles, options: ReadOptions) -> None:
    """Refuse shapes for which memory would be taken that no file of the split can fill."""
    room = max(FREE_BYTES, EXPANSION * max(split.bytes_by_group, default=0))
    for column in columns:
        shape = dense_shape(column.field)
        if column.field.codec == "image" and shape is not None and shape[0] * shape[1] > options.max_pixels:
            pixels = f"{shape[0]:,} x {shape[1]:,} pixels are more than max_pixels={options.max_pixels:,}"
            raise FormatError(f"{split.folder}: column {column.name}: {pixels}")
        if column.row_bytes > room:
            raise FormatError(
                f"{split.folder}: column {column.name}: values of {column.row_bytes:,} bytes do not fit into row "
                f"groups of {max(split.bytes_by_group, default=0):,} bytes"
            )


def _check_decoders(decoders: Mapping[str, AnyDecoder], fields: Sequence[Field]) -> None:
    codecs = {field.name: field.codec for field in fields}
    for name, decoder in decoders.items():
        wanted = getattr(decoder, "codec", "image")
        if codecs.get(name) != wanted:
            found = f"codec {codecs[name]}" if name in codecs else "no column that is read"
            raise FormatError(
                f"decoders names {name!r}, which is {found}; {type(decoder).__name__} is for columns of codec {wanted}"
            )
