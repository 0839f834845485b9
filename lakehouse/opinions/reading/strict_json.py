"""JSON from outside: bounded in depth, numbers and text, every key once."""

from __future__ import annotations

import json
import re

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.reading.values import finite

MAX_DEPTH = 64
_TEXT = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""A text, or one that nobody closes, to the end: not to be tried again from each of its quotes (quadratic time)."""

_BRACKETS = re.compile(r"[\[{]|[\]}]")
_HALF_PAIR = re.compile(r"[\ud800-\udfff]")


def strict_loads(text: str) -> object:
    """Parse one JSON document.

    Raises:
        RejectedInputError: With rule malformed, too_deep, duplicate_key, not_finite, not_an_integer (beyond 64
            bits), lone_surrogate or nul_character.
    """
    _check_depth(text)
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=lambda digits: finite(float(digits), "a number"),
            parse_constant=_constant,
        )
    except RejectedInputError:
        raise
    except (ValueError, RecursionError) as error:
        raise RejectedInputError("malformed", f"is not JSON: {error}") from error


def big_loads(text: str) -> object:
    """Parse one large JSON document; as `strict_loads`, but whole numbers may be of any size, and 1e999 is infinite.

    Raises:
        RejectedInputError: With rule malformed, too_deep, duplicate_key, not_finite (NaN and infinities by name),
            lone_surrogate or nul_character.
    """
    _check_depth(text)
    try:
        # Only an escape can bring what tables cannot hold: going through millions of keys and numbers takes seconds.
        is_clean = "\\u" not in text
        found = json.loads(text, object_pairs_hook=_unique if is_clean else _object, parse_constant=_constant)
    except RejectedInputError:
        raise
    except (ValueError, RecursionError) as error:
        raise RejectedInputError("malformed", f"is not JSON: {error}") from error
    if not is_clean:
        clean_texts(found)
    return found


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKETS.finditer(_TEXT.sub('""', text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > MAX_DEPTH:
            raise RejectedInputError("too_deep", f"nests deeper than {MAX_DEPTH} levels")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise RejectedInputError("duplicate_key", f"has key {key!a:.80} twice")
        found[_clean(key)] = value
    return found


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _object(pairs)


def clean_texts(value: object) -> None:
    """Refuse texts that tables cannot hold, anywhere in a parsed document.

    Raises:
        RejectedInputError: With rule lone_surrogate or nul_character.
    """
    if isinstance(value, str):
        _clean(value)
    elif isinstance(value, list):
        for item in value:
            clean_texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            clean_texts(item)


def _clean(text: str) -> str:
    if "\x00" in text:
        raise RejectedInputError("nul_character", f"has a NUL character in {text!a:.80}")
    if _HALF_PAIR.search(text):
        raise RejectedInputError("lone_surrogate", f"has half of a surrogate pair in {text!a:.80}")
    return text


def _integer(digits: str) -> int:
    # Length first: turning 5,000 digits into a number costs quadratic time, or raises.
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise RejectedInputError("not_an_integer", f"has a whole number beyond 64 bits: {digits[:40]}")
    return int(digits)


def _constant(name: str) -> object:
    raise RejectedInputError("not_finite", f"has {name}, which is no JSON number")
