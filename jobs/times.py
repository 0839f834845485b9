"""Times that people write on a command line."""

from __future__ import annotations

from datetime import datetime

from lakehouse.errors import ConfigError, RejectedInputError


def instant_of(option: str, text: str | None) -> datetime | None:
    """Read a time with zone, ISO 8601; None stays None.

    Raises:
        ConfigError: If it is no time, or names no zone.
    """
    if text is None:
        return None
    from lakehouse.opinions.reading.values import instant

    try:
        return instant(text, option)
    except RejectedInputError as error:
        raise ConfigError(error.reason) from error


SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(option: str, text: str) -> float:
    """Read a length of time, `30s`, `5m`, `2h`, `90d`, in seconds.

    Raises:
        ConfigError: If it has another form.
    """
    number, unit = text[:-1], text[-1:]
    if unit not in SECONDS or not (number.isascii() and number.replace(".", "", 1).isdecimal()):
        raise ConfigError(f"{option} {text}: expected a number with s, m, h or d behind it, as in 30s or 90d")
    return float(number) * SECONDS[unit]
