"""Times and orientations as cameras write them."""

from __future__ import annotations

import io
import warnings
from datetime import UTC, datetime

import pytest
from PIL import Image

from lakehouse.media.exif import NO_EXIF, ExifFacts, read_exif

ORIGINAL, ORIGINAL_OFFSET, ORIGINAL_SUBSECOND, DIGITISED, CHANGED = 0x9003, 0x9011, 0x9291, 0x9004, 0x0132


def facts(details: dict[int, object], **first: object) -> ExifFacts:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update(details)
    if "changed" in first:
        exif[CHANGED] = first["changed"]
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "JPEG", exif=exif)
    return read_exif(Image.open(buffer))


def test_without_an_offset_the_wall_clock_counts_as_utc():
    found = facts({ORIGINAL: "2023:12:31 23:59:59"})

    assert found == ExifFacts(None, datetime(2023, 12, 31, 23, 59, 59, tzinfo=UTC), False)


@pytest.mark.parametrize(
    ("offset", "hour", "minute"), [("+02:00", 8, 30), ("-05:30", 16, 0), ("+0200", 8, 30), ("+00:00", 10, 30)]
)
def test_an_offset_makes_the_time_exact(offset, hour, minute):
    found = facts({ORIGINAL: "2024:06:01 10:30:00", ORIGINAL_OFFSET: offset})

    assert found == ExifFacts(None, datetime(2024, 6, 1, hour, minute, tzinfo=UTC), True)


def test_subseconds_are_a_fraction_and_not_a_count():
    found = facts({ORIGINAL: "2024:06:01 10:30:00", ORIGINAL_SUBSECOND: "05"})

    assert found.captured_at == datetime(2024, 6, 1, 10, 30, 0, 50_000, tzinfo=UTC)


def test_the_time_of_digitising_serves_where_the_original_is_missing():
    assert facts({DIGITISED: "2001:02:03 04:05:06"}).captured_at == datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)


def test_the_time_of_the_last_change_is_no_time_of_capture():
    assert facts({}, changed="2024:06:01 10:30:00").captured_at is None


@pytest.mark.parametrize(
    "text",
    ["0000:00:00 00:00:00", "2024:13:01 00:00:00", "    :  :     :  :  ", "yesterday", "", "2024:06:01 25:00:00"],
)
def test_what_is_no_date_is_not_known(text):
    assert facts({ORIGINAL: text}) == NO_EXIF


def test_an_impossible_offset_falls_back_to_the_next_tag():
    found = facts({ORIGINAL: "2024:06:01 10:30:00", ORIGINAL_OFFSET: "+99:99", DIGITISED: "2001:02:03 04:05:06"})

    assert found.captured_at == datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)


def test_broken_exif_counts_as_none():
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")

    with warnings.catch_warnings(action="ignore"):  # Pillow warns, and goes on
        assert read_exif(Image.open(buffer)) == NO_EXIF
