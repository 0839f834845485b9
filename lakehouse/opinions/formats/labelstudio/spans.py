"""Spans of text in Label Studio's JSON."""

from __future__ import annotations

from typing import Any

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.formats.labelstudio.units import code_point_of, units_of
from lakehouse.opinions.reading.answer import Region
from lakehouse.opinions.reading.json_fields import Object, as_object, as_whole, text_in


def span_fields(value: Object, text: str | None) -> dict[str, Any]:
    """Return the fields of the region that a span is.

    Label Studio's browser counts UTF-16 units; scripts that write pre-annotations often count code points. Where the
    span states its own text, that decides; else units are meant.

    Args:
        value: With start, end (excluded) and mostly text; of HTML with globalOffsets.
        text: What it lies in; None if the file does not hold it.

    Raises:
        RejectedInputError: no_text, if places cannot be told without the text; bad_span, if they lie outside of it or
            in the middle of a character; span_differs, if there stands something else than it states.
    """
    start, end = _units(value)
    stated = text_in(value, "text")
    attrs = None if stated is None else {"text": stated}
    if "globalOffsets" in value:
        # They count units in the text as it was rendered, which no file holds.
        return {"kind": "span", "char_start": start, "char_end": end, "attrs": {**(attrs or {}), "rendered": "true"}}
    if text is None:
        raise RejectedInputError("no_text", "the file does not hold the text that its spans lie in; set text_key")
    first, last = code_point_of(text, start), code_point_of(text, end)
    if first is not None and last is not None and (stated is None or text[first:last] == stated):
        return {"kind": "span", "char_start": first, "char_end": last, "attrs": attrs}
    if stated is not None and text[start:end] == stated:
        return {"kind": "span", "char_start": start, "char_end": end, "attrs": attrs}
    if stated is None or first is None or last is None:
        raise RejectedInputError("bad_span", f"places {start} and {end} are none of its text")
    raise RejectedInputError("span_differs", f"says {stated!a:.80} where {text[first:last]!a:.80} stands")


def span_value(region: Region, text: str | None) -> dict[str, object]:
    """Return start, end and text of a span as Label Studio's browser counts them.

    Raises:
        RejectedInputError: no_text, if a place cannot be told without the text.
    """
    attrs = region.attrs or {}
    start, end = region.char_start or 0, region.char_end or 0
    stated = {"text": attrs["text"]} if "text" in attrs else {}
    if attrs.get("rendered") == "true":
        return {"globalOffsets": {"start": start, "end": end}, **stated}
    if text is None:
        raise RejectedInputError("no_text", "its places in Label Studio's units need the text that it lies in")
    return {"start": units_of(text, start), "end": units_of(text, end), "text": text[start:end]}


def _units(value: Object) -> tuple[int, int]:
    found = value
    if "globalOffsets" in value:
        found = as_object(value["globalOffsets"], "globalOffsets")
    elif isinstance(value.get("start"), str):
        raise RejectedInputError("paragraph_span", "counts within paragraphs or tags, without globalOffsets: not read")
    start, end = as_whole(found.get("start"), "start"), as_whole(found.get("end"), "end")
    if not 0 <= start <= end:
        raise RejectedInputError("bad_span", f"ends before it begins: {start} to {end}")
    return start, end
