"""Which parts of a published version the next one takes over as they are: those whose rows it has too, unchanged.

Parts that were written together are a *stratum*: rows in one random order. ORDER.md mixes strata evenly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.axes import Ints
from loaders.errors import FormatError
from loaders.format.digest import row_hashes
from loaders.format.fields import Field, schema_id
from loaders.format.manifest import PartReceipt, read_dataset
from loaders.reading.source import SplitFiles
from loaders.stores.below import Below
from loaders.stores.schemes import open_storage
from loaders.stores.storage import Storage

MOST_STRATA = 4
"""A window of the reader has row groups of each stratum open; beyond, the two smallest are written anew together."""


@dataclass(frozen=True, slots=True)
class KeptPart:
    """A published part that another version may take over.

    Attributes:
        split: Split it belongs to.
        stratum: Parts with the same number were written together; numbers ascend as strata were added.
        place: Where it lies, from the folder that holds the versions: `<version id>/<split>/<file>`.
        receipt: What the manifest says of it.
        rows: Its rows in stored order, the columns that are no objects.
    """

    split: str
    stratum: int
    place: str
    receipt: PartReceipt
    rows: pa.Table


@dataclass(frozen=True, slots=True)
class Kept:
    """The parts that are taken over.

    Attributes:
        parts: By split and place in its manifest.
        places: For each part, which of the new rows are its own, in stored order.
        rewritten: {why: parts that are not taken over}.
    """

    parts: tuple[KeptPart, ...]
    places: tuple[Ints, ...]
    rewritten: Mapping[str, int]


def read_parts(
    folder: str | Path | Storage, fields: Sequence[Field], objects: Collection[str] = ()
) -> tuple[KeptPart, ...]:
    """Return the parts of a published version; () where its columns are others, or its sequences stand together.

    Reads every value but those of objects, from where the manifest says that they lie.

    Args:
        folder: The version's folder, a path, a URL or its storage; its last step names the version.
        fields: The columns of the version that is planned.
        objects: Names of the fields whose values are objects.

    Raises:
        FormatError: If it is no published version.
        CorruptionError: If a part is damaged.
    """
    names = [field.name for field in fields if field.name not in objects]
    files = open_storage(folder) if isinstance(folder, str | Path) else folder
    found: list[KeptPart] = []
    for split in sorted(read_dataset(files).splits):
        source = SplitFiles(Below(files, split))
        if schema_id(source.manifest.fields) != schema_id(fields) or source.manifest.order_by:
            return ()
        strata = [at for at, count in enumerate(source.manifest.all_strata) for _ in range(count)]
        group = 0
        for part, stratum in zip(source.manifest.parts, strata, strict=True):
            tables = [_plain(source.read_group(group + at, names), fields) for at in range(len(part.row_groups))]
            group += len(part.row_groups)
            place = f"{files.root.rsplit('/', 1)[-1]}/{split}/{part.name}"
            found.append(KeptPart(split, stratum, place, part, pa.concat_tables(tables)))
    return tuple(found)


def _plain(table: pa.Table, fields: Sequence[Field]) -> pa.Table:
    kinds = {field.name: field.type for field in fields}
    return pa.table({name: table.column(name).cast(kinds[name]) for name in table.column_names})


def choose_parts(
    parts: Sequence[KeptPart], rows: pa.Table, fields: Sequence[Field], *, id_column: str, split_column: str
) -> Kept:
    """Return which parts all rows of which are among the new ones, in the same split and with equal values.

    Args:
        parts: What another version has, of the same columns.
        rows: The new rows.
        fields: The stored columns that are no objects; the id is one of them and names the bytes of its objects.
        id_column: Text that names a row.
        split_column: Column with the name of the split.

    Raises:
        FormatError: If the id is not stored.
    """
    if id_column not in {field.name for field in fields}:
        raise FormatError(f"column {id_column} is not stored, so no part tells which rows it has")
    if not parts:
        return Kept((), (), {})
    ids = rows.column(id_column).cast(pa.string()).combine_chunks()
    splits = rows.column(split_column).cast(pa.string()).combine_chunks().dictionary_encode()
    values = rows.select([field.name for field in fields]).combine_chunks()
    split_of, split_names = splits.indices.to_numpy(zero_copy_only=False), splits.dictionary.to_pylist()
    stored = pa.chunked_array([chunk for part in parts for chunk in part.rows.column(id_column).chunks], pa.string())
    found = pc.index_in(stored, value_set=ids).combine_chunks().fill_null(-1)
    places = np.asarray(found, dtype=np.int64)
    ends = np.cumsum([0, *(part.rows.num_rows for part in parts)]).tolist()
    why: Counter[str] = Counter()
    kept: list[tuple[KeptPart, Ints]] = []
    for part, (begin, end) in zip(parts, pairwise(ends), strict=True):
        own = places[begin:end]
        if (own < 0).any():
            why["members left"] += 1
        elif part.split not in split_names or (split_of[own] != split_names.index(part.split)).any():
            why["members moved to another split"] += 1
        elif not _same(values.take(pa.array(own)), part.rows, fields):
            why["values changed"] += 1
        else:
            kept.append((part, own))
    has_new = rows.num_rows > sum(len(own) for _, own in kept)
    joined = set(_joined([part for part, _ in kept])) if has_new else set()
    why["small strata were joined"] += sum((part.split, part.stratum) in joined for part, _ in kept)
    last = [(part, own) for part, own in kept if (part.split, part.stratum) not in joined]
    return Kept(tuple(part for part, _ in last), tuple(own for _, own in last), dict(+why))


def _joined(parts: Sequence[KeptPart]) -> Iterator[tuple[str, int]]:
    """Yield (split, stratum) of those that are written anew, so that strata stay few."""
    sizes: dict[str, Counter[int]] = {}
    for part in parts:
        sizes.setdefault(part.split, Counter())[part.stratum] += part.receipt.rows
    for split, rows in sizes.items():
        if len(rows) >= MOST_STRATA:
            small = sorted(rows, key=lambda stratum: (rows[stratum], -stratum))
            yield from ((split, stratum) for stratum in small[: len(rows) - MOST_STRATA + 2])


def strata_of(parts: Sequence[KeptPart], fresh: int) -> tuple[int, ...]:
    """Return how many parts each stratum of a split has, the new one last; () for a single one.

    Args:
        parts: Those that are kept, in order.
        fresh: New parts.
    """
    counts = list(Counter(part.stratum for part in parts).values()) + ([fresh] if fresh else [])
    return tuple(counts) if len(counts) > 1 else ()


def _same(new: pa.Table, old: pa.Table, fields: Sequence[Field]) -> bool:
    names = [field.name for field in fields]
    if all(new.column(name).equals(old.column(name)) for name in names):
        return True
    # NaN is not equal to itself, and -0 is 0: the row hash has the last word.
    return row_hashes(new.select(names), fields) == row_hashes(old.select(names), fields)
