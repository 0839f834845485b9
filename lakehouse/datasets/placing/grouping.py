"""The components of many statements at once, as columns: what `components` says, without an object for each row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from json.encoder import encode_basestring

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TEXT = pa.large_string()

GROUPED = pa.schema([pa.field(name, pa.string()) for name in ("entity_id", "group_id", "anchor_id")])

STATED = pa.schema([("entity_id", pa.string()), ("value", pa.string()), ("first_version", pa.int64())])

LINES_AT_ONCE = 65_536


def grouped(stated: pa.Table) -> pa.Table:
    """Return the component of every entity of which anything is stated, sorted by entity.

    Args:
        stated: Rows of `STATED`, no NULL; an entity has one `first_version`.

    Returns:
        Rows of `GROUPED`; see `lakehouse.datasets.placing.components.Component`.
    """
    entities, values = _coded(stated["entity_id"]), _coded(stated["value"])
    _, first_rows = np.unique(entities.codes, return_index=True)
    first_values = values.codes[first_rows]  # (entities,): any value of each
    others = np.flatnonzero(values.codes != first_values[entities.codes])
    pairs = zip(values.codes[others].tolist(), first_values[entities.codes[others]].tolist(), strict=True)
    component = _roots(len(values.texts), pairs)[first_values]
    ages = stated["first_version"].to_numpy()[first_rows]
    # Oldest first within a component; entities are numbered in their own order, so the smallest id comes first.
    order = np.lexsort((np.arange(len(ages)), ages, component))
    at, starts = np.unique(component[order], return_index=True)
    oldest = np.zeros(len(values.texts), np.int64)
    oldest[at] = order[starts]
    columns = [entities.texts, values.texts.take(pa.array(component)), entities.texts.take(pa.array(oldest[component]))]
    return pa.Table.from_arrays([each.cast(pa.string()) for each in columns], schema=GROUPED)


@dataclass(frozen=True, slots=True)
class _Coded:
    """A column of texts as numbers.

    Attributes:
        texts: Its distinct texts, in the order of their code points.
        codes: The place there of each text of the column; int64.
    """

    texts: pa.Array
    codes: np.ndarray


def _coded(column: pa.ChunkedArray) -> _Coded:
    encoded = column.cast(TEXT).combine_chunks().dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    places = np.empty(len(order), np.int64)
    places[order.to_numpy()] = np.arange(len(order))
    return _Coded(encoded.dictionary.take(order), places[encoded.indices.to_numpy()])


def _roots(count: int, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """Return the smallest number that each of `count` numbers is joined to by pairs: int64, shape (count,)."""
    parents: dict[int, int] = {}

    def root(number: int) -> int:
        while (parent := parents.get(number, number)) != number:
            parents[number] = parents.get(parent, parent)
            number = parent
        return number

    for one, other in pairs:
        least, most = sorted((root(one), root(other)))
        parents[most] = least
    found = np.arange(count)
    for number in list(parents):
        found[number] = root(number)
    return found


def sha256_of_rows(rows: pa.Table) -> str:
    """Return what `digest_of_rows` says of rows of texts, without NULL."""
    found = hashlib.sha256()
    for line in _lines(rows):
        found.update(line)
    return found.hexdigest()


def _lines(rows: pa.Table) -> Iterator[bytes | memoryview]:
    # Not above: for a value of Python's pyarrow imports pandas, a third of a second.
    quote, comma, nothing = (pa.scalar(text, TEXT) for text in ('"', ",", ""))
    for start in range(0, rows.num_rows, LINES_AT_ONCE):
        columns = [column.cast(TEXT).combine_chunks() for column in rows.slice(start, LINES_AT_ONCE).columns]
        quoted = [pc.binary_join_element_wise(quote, _escaped(column), quote, nothing) for column in columns]
        lines = pc.binary_join_element_wise(*quoted, comma)
        yield "\n".join([*lines.to_pylist(), ""]).encode()


def _escaped(texts: pa.Array) -> pa.Array:
    """Return texts as JSON has them between its quotes."""
    if not pc.any(pc.match_substring_regex(texts, r'[\x00-\x1f"\\]')).as_py():
        return texts
    return pa.array([encode_basestring(text)[1:-1] for text in texts.to_pylist()], TEXT)
