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
