"""A record of columns as the JSON text that bronze keeps: nothing is lost but types that JSON does not have."""

from __future__ import annotations

import base64
import datetime
import json
import math
from collections.abc import Mapping


def record_text(values: Mapping[str, object]) -> str:
    """Return a record as JSON, keys in the order of the columns.

    Times become ISO 8601, exact decimals and what has no type of its own text, bytes `{"base64": ...}`, and numbers
    that are none `"NaN"`, `"Infinity"` and `"-Infinity"`.
    """
    return json.dumps(plain(values), ensure_ascii=False, allow_nan=False)


def plain(value: object) -> object:
    """Return a value as JSON can say it."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()  # half of a surrogate pair is no text
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, datetime.timedelta) else str(value)
