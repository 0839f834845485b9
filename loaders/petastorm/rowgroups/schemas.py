"""The columns of a folder out of those of its files: plain types, widened where files differ."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from loaders.errors import FormatError

_PLAIN = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values themselves: without dictionaries, views and extensions."""
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_struct(kind):
        return pa.struct([_plain(kind.field(at)) for at in range(kind.num_fields)])
    if pa.types.is_map(kind):
        return pa.map_(_plain(kind.key_field), _plain(kind.item_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain(kind.value_field), kind.list_size)
    if pa.types.is_large_list(kind) or pa.types.is_large_list_view(kind):
        return pa.large_list(_plain(kind.value_field))
    if pa.types.is_list(kind) or pa.types.is_list_view(kind):
        return pa.list_(_plain(kind.value_field))
    return _PLAIN.get(kind, kind)


def united(schemas: Iterable[tuple[str, pa.Schema]]) -> list[pa.Field]:
    """Return the columns of several files, in the order in which they appear first.

    A type may become wider (int32 and int64 give int64); integers never become floating-point numbers.

    Args:
        schemas: Path and schema of each file.

    Raises:
        FormatError: If two files hold a column with types that do not go together.
    """
    found: dict[str, tuple[pa.Field, str]] = {}
    for path, schema in schemas:
        for each in schema:
            one = pa.field(each.name, plain_type(each.type))
            if (before := found.get(one.name)) is None:
                found[one.name] = (one, path)
            elif not before[0].type.equals(one.type):
                found[one.name] = (_wider(one, path, *before), before[1])
    return [each for each, _ in found.values()]


def _wider(one: pa.Field, path: str, other: pa.Field, other_path: str) -> pa.Field:
    try:
        wider = pa.unify_schemas([pa.schema([other]), pa.schema([one])], promote_options="permissive").field(0)
    except pa.ArrowException:
        wider = None
    if wider is None or _loses(one.type, wider.type) or _loses(other.type, wider.type):
        raise FormatError(
            f"column {one.name} is {other.type} in {other_path} and {one.type} in {path}; "
            "write the files again with one type"
        )
    return wider


def _loses(before: pa.DataType, after: pa.DataType) -> bool:
    """Whether an integer becomes a floating-point number somewhere."""
    if pa.types.is_struct(before):
        fields = [before.field(at) for at in range(before.num_fields)]
        return any(_loses(each.type, after.field(each.name).type) for each in fields)
    if pa.types.is_nested(before):
        return any(_loses(before.field(at).type, after.field(at).type) for at in range(before.num_fields))
    return bool(pa.types.is_integer(before) and pa.types.is_floating(after))


def _plain(each: pa.Field) -> pa.Field:
    return each.with_type(plain_type(each.type))
