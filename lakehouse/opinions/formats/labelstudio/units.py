"""Places in texts: Label Studio counts UTF-16 units, as browsers do; spans of ours are code points."""

from __future__ import annotations


def code_point_of(text: str, units: int) -> int | None:
    """Return the place in code points of a place in UTF-16 units; None inside a pair of surrogates or beyond the end.

    Args:
        text: The text.
        units: Place counted from 0.
    """
    if units < 0:
        return None
    # Two bytes a unit: a half of a pair at the end makes no text.
    head = text.encode("utf-16-le")[: units * 2]
    if len(head) < units * 2:
        return None
    try:
        return len(head.decode("utf-16-le"))
    except UnicodeDecodeError:
        return None


def units_of(text: str, place: int) -> int:
    """Return the place in UTF-16 units of a place in code points."""
    return len(text[:place].encode("utf-16-le")) // 2
