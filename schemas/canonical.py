"""Canonical JSON, content ids, row hashes and buckets: the same in every process, engine and language.

Canonical JSON: keys sorted by code point, text in NFC, timestamps as UTC with six decimals, numbers as the
shortest decimal that reads back equal (integral floats below 2**53 without a fraction, -0 as 0), no blanks.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from json.encoder import encode_basestring
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.model import Table

BUCKET_BITS = 52
"""Buckets are integers in [0, 2**52): 13 hex digits, exact in a double and in a 64-bit integer."""


_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class Canonical:
    """A value of which the canonical JSON is known: it stands for itself in what is hashed."""

    text: str


def canonical_json(value: object) -> str:
    """Return the one JSON text of `value`.

    Raises:
        ValueError: For NaN and infinities, which have no JSON form, times without zone, and keys that are the
            same text in NFC.
        TypeError: For a type that has no canonical form, or a key that is not text.
    """
    return _text(value)


def points_json(keys: tuple[str, ...], values: list[float]) -> str:
    """Return the canonical JSON of a list of objects of the same keys: `canonical_json` for many small ones at once.

    Args:
        keys: Keys of each, plain ASCII, sorted.
        values: Floats of the first object in the order of `keys`, then those of the next.

    Raises:
        ValueError: For NaN and infinities.
    """
    return "[" + _objects(keys, _numbers(values), len(values) // len(keys)) + "]"


def text_json(value: object) -> str:
    """Return JSON with sorted keys and without blanks in which every text is as it was given, not in NFC.

    For what is read back and compared with other columns; what is hashed goes through `canonical_json`.

    Raises:
        ValueError: For NaN and infinities.
        TypeError: For a type that JSON does not have.
    """
    return _ENCODER.encode(value)


def content_id(value: object, *, digits: int = 32) -> str:
    """Return the first `digits` hex digits of the SHA-256 of `canonical_json(value)`."""
    return sha256_text(canonical_json(value))[:digits]


def sha256_text(text: str) -> str:
    """Return the SHA-256 of `text` in UTF-8, 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def row_hash(row: Mapping[str, object], table: Table) -> str:
    """Return the content hash of one row of `table`, 64 hex digits.

    Clock columns and `row_hash` itself are left out, and columns that came later where they are NULL; a missing column
    counts as NULL.
    """
    late = table.late_columns
    content = {name: row.get(name) for name in table.content_columns if name not in late or row.get(name) is not None}
    for name in table.map_columns:
        value = content.get(name)
        if value is not None:
            # Arrow hands out a map as a list of pairs; its order is not content.
            content[name] = dict(value)  # type: ignore[call-overload]
    return sha256_text(canonical_json(content))


def bucket(identity: str, seed: int) -> int:
    """Return the bucket of `identity` under `seed`: the first 52 bits of `md5(identity || '|' || seed)`.

    Returns:
        An integer in [0, 2**52). SQL spells it `petrel_bucket(identity, seed)`.
    """
    digest = hashlib.md5(f"{identity}|{seed}".encode(), usedforsecurity=False).hexdigest()
    return int(digest[: BUCKET_BITS // 4], 16)


def _text(value: object) -> str:
    # By type first, and text at once: a polygon is some dozens of small mappings, and an import hashes them by the
    # million.
    kind = type(value)
    if kind is float:
        return _number(value)  # type: ignore[arg-type]
    if kind is Canonical:
        return value.text  # type: ignore[attr-defined, no-any-return]
    if kind is dict or kind is list or kind is tuple:
        return _object(value) if kind is dict else _array(value)  # type: ignore[arg-type]
    if value is None:
        return "null"
    if isinstance(value, str):
        return encode_basestring(value if value.isascii() else unicodedata.normalize("NFC", value))
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, Mapping):
        return _object(value)
    if isinstance(value, list | tuple):
        return _array(value)
    if isinstance(value, datetime):
        return encode_basestring(_instant(value))
    if isinstance(value, bytes):
        return encode_basestring(value.hex())
    if isinstance(value, Decimal):
        return _number(float(value))
    raise TypeError(f"no canonical JSON for {type(value).__name__}: {value!r}")


def _object(value: Mapping[object, object]) -> str:
    texts = {key if type(key) is str and key.isascii() else _key(key): _text(item) for key, item in value.items()}
    if len(texts) < len(value):
        raise ValueError(f"two keys are the same text in NFC: {sorted(map(str, value))}")
    return "{" + ",".join([f"{encode_basestring(key)}:{texts[key]}" for key in sorted(texts)]) + "}"


def _array(items: Sequence[object]) -> str:
    alike = _alike(items)
    return "[" + (",".join(map(_text, items)) if alike is None else alike) + "]"


def _alike(items: Sequence[object]) -> str | None:
    """Return the texts of objects of the same two keys or more, as points are; None if they are anything else."""
    first = items[0] if len(items) > 1 else None
    if type(first) is not dict or len(first) < 2 or not all(type(key) is str and key.isascii() for key in first):
        return None
    if set(map(type, items)) != {dict} or set(map(len, items)) != {len(first)}:  # type: ignore[arg-type]
        return None
    keys = sorted(first)
    try:
        flat = list(chain.from_iterable(map(itemgetter(*keys), items)))  # type: ignore[arg-type]
    except KeyError:
        return None
    return _objects(keys, _numbers(flat) if set(map(type, flat)) == {float} else map(_text, flat), len(items))


def _objects(keys: Sequence[str], texts: Iterable[str], count: int) -> str:
    one = "{" + ",".join(encode_basestring(key).replace("%", "%%") + ":%s" for key in keys) + "}"
    return ",".join([one] * count) % tuple(texts)


def _numbers(values: list[float]) -> list[str]:
    total = sum(values)
    if total - total != 0.0:  # one may have no JSON form
        return list(map(_number, values))
    # All at once: a list is written at the speed of its floats.
    said = repr(values)[1:-1] + ", "
    if ".0, " in said:
        if "-0.0, " in said or not -(2**53) < min(values) <= max(values) < 2**53:
            return list(map(_number, values))
        said = said.replace(".0, ", ", ")
    return said[:-2].split(", ")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"canonical JSON has text keys only, found {type(key).__name__}: {key!r}")
    return unicodedata.normalize("NFC", key)


def _number(value: float) -> str:
    if value.is_integer():
        return int.__repr__(int(value)) if -(2**53) < value < 2**53 else float.__repr__(value)
    if value - value != 0.0:  # NaN and the infinities alone
        raise ValueError(f"canonical JSON has finite numbers only, found {value}")
    return float.__repr__(value)


def _instant(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError(f"a timestamp needs a time zone to have a canonical form: {value!r}")
    # Not strftime: its %Y has no leading zeros for years before 1000.
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
