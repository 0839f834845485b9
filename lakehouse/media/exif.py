"""The three EXIF facts that matter to a lake: orientation, time of capture, and whether that time has an offset."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from PIL import ExifTags, Image

_TIME = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_TIME_TAGS = (
    (ExifTags.Base.DateTimeOriginal, ExifTags.Base.OffsetTimeOriginal, ExifTags.Base.SubsecTimeOriginal),
    (ExifTags.Base.DateTimeDigitized, ExifTags.Base.OffsetTimeDigitized, ExifTags.Base.SubsecTimeDigitized),
)
"""Tags of capture, best first. `DateTime` is left out: editors set it to the time of the last change."""


@dataclass(frozen=True, slots=True)
class ExifFacts:
    """What EXIF says.

    Attributes:
        orientation: 1 to 8 as in EXIF (6: turn a quarter clockwise to see it upright); None: not stated.
        captured_at: Time of capture, UTC; None: not stated or not a date. Without an offset tag the camera's
            wall clock is taken as if it were UTC, which is then wrong by the camera's time zone.
        has_offset: Whether an offset tag made `captured_at` exact; None without a time.
    """

    orientation: int | None = None
    captured_at: datetime | None = None
    has_offset: bool | None = None


NO_EXIF = ExifFacts()


def read_exif(image: Image.Image) -> ExifFacts:
    """Read EXIF from an opened image, before its pixels are loaded. Broken EXIF counts as none."""
    # A PNG without EXIF in front would be decoded whole just to look behind its pixels.
    if "exif" not in image.info and image.format != "TIFF":
        return NO_EXIF
    try:
        exif = image.getexif()
        orientation = exif.get(ExifTags.Base.Orientation)
        details = exif.get_ifd(ExifTags.IFD.Exif)
    except Exception:  # Pillow parses EXIF written by anyone; struct, key, type and value errors all occur.
        return NO_EXIF
    captured_at, has_offset = _captured(details)
    known = orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else None
    return ExifFacts(known, captured_at, has_offset)


def _captured(details: dict[int, object]) -> tuple[datetime | None, bool | None]:
    for time_tag, offset_tag, subsecond_tag in _TIME_TAGS:
        found = _TIME.match(_text(details.get(time_tag)))
        if not found:
            continue
        offset = _OFFSET.fullmatch(_text(details.get(offset_tag)))
        digits = _text(details.get(subsecond_tag))
        try:
            zone = UTC if offset is None else _zone(offset)
            year, month, day, hour, minute, second = map(int, found.groups())
            moment = datetime(year, month, day, hour, minute, second, _microseconds(digits), tzinfo=zone)
            return moment.astimezone(UTC), offset is not None
        except (ValueError, OverflowError):  # 0000:00:00, month 13: a camera whose clock was never set.
            continue
    return None, None


def _zone(offset: re.Match[str]) -> timezone:
    sign = -1 if offset[1] == "-" else 1
    return timezone(sign * timedelta(hours=int(offset[2]), minutes=int(offset[3])))


def _microseconds(digits: str) -> int:
    return int(digits[:6].ljust(6, "0")) if digits.isascii() and digits.isdigit() else 0


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("ascii", errors="replace")
    return value.strip(" \0") if isinstance(value, str) else ""
