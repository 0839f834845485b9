"""Extra columns of a selection: fields of a recipe's own, which every sample carries beside the built-in ones.

Their values are kept with the members as JSON, their types with the dataset: both are content.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from lakehouse.datasets.policies.kind import AnswerKind
from lakehouse.errors import RecipeError
from lakehouse.names import nearest
from schemas.canonical import text_json

BUILT_IN = frozenset({
    "entity_id", "image", "audio", "video", "text", "content", "media_type", "weight", "label", "label_index",
    "label_probs", "split", "size_bytes", "object_uri", "is_pad", "source_affine",
    "sample_id", "repeat",
})  # fmt: skip
"""Names of fields that samples have, or may get, from the lake or the reader."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")

_NUMBERS: dict[pa.DataType, str] = {
    pa.bool_(): "bool",
    **{getattr(pa, name)(): name for sign in ("", "u") for name in (f"{sign}int{bits}" for bits in (8, 16, 32, 64))},
    pa.float32(): "float32",
    pa.float64(): "float64",
}

ADVICE = {
    pa.types.is_decimal: "cast it to double or bigint",
    pa.types.is_struct: "select its parts, as about.width",
    pa.types.is_map: "select its values, as group_keys['patient']",
    pa.types.is_time: "cast it to varchar",
    pa.types.is_binary: "samples have the bytes of their entity; leave it out",
}


def own_fields(where: str, selection: pa.Table, answers: AnswerKind | None = None) -> dict[str, str]:
    """Return {column of the selection: type of the field, as loaders/FORMAT.md names it}, without `entity_id`.

    Args:
        where: Where the selection is written, for messages: `recipe birds: select.sql`.
        selection: What its query returned.
        answers: Kind of the recipe's answers, which have fields too.

    Raises:
        RecipeError: If a name is taken, there twice or no name of a field, or a type has no field.
    """
    found: dict[str, str] = {}
    built_in = BUILT_IN.union(() if answers is None else answers.sample_names)
    taken = {name.casefold() for name in built_in}
    for column in selection.schema:
        if column.name == "entity_id":
            continue
        place = f"{where}: column `{column.name}`"
        if column.name.casefold() in taken:
            why = "every sample has such a field" if column.name.casefold() in built_in else "it is there twice"
            raise RecipeError(f"{place}: {why}; give it another with `as`, or leave the column out")
        if not NAME.fullmatch(column.name):
            raise RecipeError(
                f"{place}: the name of a field begins with a letter, has letters, digits and _, and at most 128 of "
                "them; give it one with `as`"
            )
        taken.add(column.name.casefold())
        found[column.name] = field_type(place, column.type)
    return found


def field_type(place: str, kind: pa.DataType) -> str:
    """Return the type of the field that a column of a query becomes, as loaders/FORMAT.md names it.

    Args:
        place: Where it stands, for the message.
        kind: Arrow type of the column.

    Raises:
        RecipeError: If there is none.
    """
    found = _type_name(kind)
    if found is None:
        advice = next((text for is_one, text in ADVICE.items() if is_one(kind)), "cast it, or leave it out")
        raise RecipeError(
            f"{place} is of type {kind}, which is no type of a field (text, numbers, booleans, dates, timestamps, and "
            f"lists of numbers or text); {advice}"
        )
    return found


def check_names(where: str, names: Iterable[str], answers: AnswerKind | None, own: Iterable[str]) -> None:
    """Refuse names that no column of the samples can have, before anything is built.

    Args:
        where: Where they are written, for messages.
        names: What `[fields]` names.
        answers: Kind of the recipe's answers.
        own: Names of the selection's own columns.

    Raises:
        RecipeError: If so; the message names the nearest.
    """
    known = sorted(BUILT_IN.union(own, () if answers is None else answers.sample_names))
    for name in names:
        if name not in known:
            raise RecipeError(f"{where}: samples have no column {name!r}{nearest(name, known)}")


def with_values(where: str, selection: pa.Table, fields: Mapping[str, str]) -> pa.Table:
    """Return entity_id and fields_json of what is selected, each entity once; NaN is null, as it is no value.

    Raises:
        RecipeError: If an entity is selected with different values, or a value is infinite or out of range.
    """
    ids = selection["entity_id"].cast(pa.string())
    if not fields:
        unique = ids.unique().drop_null()
        return pa.table([unique, pa.nulls(len(unique), pa.string())], names=["entity_id", "fields_json"])
    columns = {name: _plain(where, name, kind, selection[name]) for name, kind in fields.items()}
    values: dict[str, str] = {}
    for place, entity in enumerate(ids.to_pylist()):
        if entity is None:
            continue
        text = text_json({name: column[place] for name, column in columns.items()})
        if values.setdefault(entity, text) != text:
            raise RecipeError(
                f"{where}: entity {entity} is selected with {values[entity]} and with {text}; "
                "a sample has one value: select one row of each, for example with `group by entity_id`"
            )
    return pa.table([pa.array(values.keys(), pa.string()), pa.array(values.values(), pa.string())],
                    names=["entity_id", "fields_json"])  # fmt: skip


def read_values(texts: Sequence[str | None], fields: Mapping[str, str], types: Mapping[str, pa.DataType]) -> pa.Table:
    """Return the columns that `with_values` wrote.

    Args:
        texts: fields_json of each member.
        fields: From `own_fields`.
        types: Name of a type -> Arrow type.
    """
    rows = [_parsed(text) for text in texts]
    read = {name: _READ.get(kind, _same) for name, kind in fields.items()}
    return pa.table({
        name: pa.array([None if row[name] is None else read[name](row[name]) for row in rows], types[kind])
        for name, kind in fields.items()
    })  # fmt: skip


def _parsed(text: str | None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text or "{}")
    return found


def _same(value: Any) -> Any:
    return value


_READ: dict[str, Any] = {
    "timestamp[us, UTC]": datetime.fromisoformat,
    "date32": date.fromisoformat,
    "float32": float,
    "float64": float,
}


def _type_name(kind: pa.DataType) -> str | None:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if kind in _NUMBERS:
        return _NUMBERS[kind]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "string"
    if pa.types.is_timestamp(kind):
        return "timestamp[us, UTC]"
    if pa.types.is_date32(kind):
        return "date32"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = _type_name(kind.value_type)
        return f"list<{inner}>" if inner == "string" or inner in _NUMBERS.values() else None
    return None


def _plain(where: str, name: str, kind: str, values: pa.ChunkedArray) -> list[Any]:
    """Return values as JSON has them."""
    where = f"{where}: column `{name}`"
    try:
        if kind == "timestamp[us, UTC]":
            found = values.cast(pa.timestamp("us", tz="UTC")).to_pylist()
            return [None if each is None else _instant(each) for each in found]
        found = values.to_pylist()
    except (pa.ArrowInvalid, ValueError, OverflowError) as error:
        raise RecipeError(f"{where}: a time is finer than microseconds, or outside the years 1 to 9999") from error
    if kind == "date32":
        return [None if each is None else each.isoformat() for each in found]
    return [_number(each, where) for each in found] if "float" in kind or kind.startswith("list") else found


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _number(value: Any, where: str) -> Any:
    if isinstance(value, list):
        if any(each is None or (isinstance(each, float) and not math.isfinite(each)) for each in value):
            raise RecipeError(f"{where}: a list holds NULL, NaN or an infinity; leave it out with `list_filter`")
        return value
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        raise RecipeError(f"{where}: a value is infinite; leave it out, for example with `nullif`")
    return value
