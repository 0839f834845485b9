"""One DICOM file: what its header says, and whether its pixels are there. Pixels are not decoded.

Every problem is a `RejectedInputError` with one of the rules below; nothing else is raised for any bytes.

    empty               no bytes
    too_large           more bytes than the limit
    too_many_pixels     more rows x columns x frames than the limit, by the header
    extension_mismatch  the name claims another kind than the bytes are
    unknown_type        the name claims DICOM and the bytes are of no type we know: a file without preamble
    unsupported_media   a deflated data set, which could become any size, or a header of more than 3 MiB
    truncated           pixels are fewer than the header states, or an element is cut off
    undecodable         everything else that pydicom objects to

Of what a header says about people nothing is taken: no name, id, date of birth, institution.
"""

from __future__ import annotations

import importlib.util
import io
import math
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from lakehouse.errors import RejectedInputError
from lakehouse.media.limits import DEFAULT_DICOM_LIMITS, DicomLimits
from lakehouse.media.signature import type_among
from lakehouse.media.sniff import Data

if TYPE_CHECKING:
    from pydicom import Dataset

PROBE_VERSION = 2
"""Raised when the same file would be judged otherwise: what an older probe rejected is looked at again."""

MEDIA_TYPE = "application/dicom"
IS_READ = importlib.util.find_spec("pydicom") is not None
"""Without the library a DICOM file is bytes of no kind."""

DEFLATED = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205")
"""Transfer syntaxes in which the data set itself is packed (PS3.5, A.5)."""

MOST_TEXT = 64
PICTURES = ("Image Storage", "Image Storage - For Presentation", "Image Storage - For Processing")
"""How classes of what has pixels are called (PS3.4, B.5)."""
UNDEFINED = 0xFFFFFFFF
"""Length of an element that ends with a mark."""
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
END_OF_SEQUENCE = (b"\xfe\xff\xdd\xe0", b"\xff\xfe\xe0\xdd")
PREAMBLE = 132
MOST_HEADER = 3 << 20
"""Bytes before the pixels: 400,000 elements, which take pydicom 1.7 s; 1 KB for each of 3,000 slices."""
MOST_ELEMENTS = 100_000
MOST_FRAGMENTS = 1_000_000


@dataclass(frozen=True, slots=True)
class DicomFacts:
    """What the header says.

    Attributes:
        media_type: application/dicom.
        modality: CT, MR, US, DX ...; "" where it states none.
        rows: Rows of a frame; 0 without pixels, as of a report.
        columns: Columns of a frame.
        frames: Frames, at least 1; 0 without pixels.
        samples: Samples of a pixel: 1 grey, 3 colour.
        bits: Bits that a sample uses.
        photometric: MONOCHROME2, RGB ...
        transfer_syntax: UID of how it is coded.
        is_packed: Whether the pixels are.
        spacing_mm: Distance of the middles of pixels, rows and columns, mm; None: not stated.
        thickness_mm: Of the slice; None: not stated.
        captured_at: When it was acquired, UTC: the machine's wall clock where it states no offset.
        pixel_type: None: the reader has no decoder for it.
    """

    media_type: str
    modality: str
    rows: int
    columns: int
    frames: int
    samples: int
    bits: int
    photometric: str
    transfer_syntax: str
    is_packed: bool
    spacing_mm: tuple[float, float] | None
    thickness_mm: float | None
    captured_at: datetime | None
    pixel_type: str | None = None


def probe_dicom(data: Data, *, name: str, limits: DicomLimits = DEFAULT_DICOM_LIMITS) -> DicomFacts:
    """Return what a DICOM file is whose pixels are there, as far as its header tells.

    Args:
        data: The file, as bytes or mapped.
        name: File name; its extension is compared with the content. One without a known extension is fine.
        limits: What counts as hostile.

    Raises:
        RejectedInputError: With one of the rules of this module.
    """
    type_among(data, name=name, max_bytes=limits.max_bytes, types={MEDIA_TYPE}, what="DICOM file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _facts(bytes(data), limits)
        except RejectedInputError:
            raise
        except EOFError as error:
            raise RejectedInputError("truncated", f"it ends inside an element: {error}") from error
        except Exception as error:  # pydicom raises whatever it runs into, RecursionError too
            text = " ".join(str(error).split())[:200] or type(error).__name__
            raise RejectedInputError("undecodable", f"no DICOM file, or a damaged one: {text}") from error


def _facts(data: bytes, limits: DicomLimits) -> DicomFacts:
    found, syntax, pixels = _header(data)
    is_picture = _uid_name(_text(found, "SOPClassUID")).endswith(PICTURES)
    rows, columns, samples = (_whole(found, name) for name in ("Rows", "Columns", "SamplesPerPixel"))
    frames = _whole(found, "NumberOfFrames") or 1
    allocated, bits = _whole(found, "BitsAllocated"), _whole(found, "BitsStored")
    if rows * columns * frames > limits.max_pixels:
        text = f"{rows:,} rows x {columns:,} columns x {frames:,} frames, limit {limits.max_pixels:,}"
        raise RejectedInputError("too_many_pixels", text)
    is_packed = _is_packed(syntax)
    if pixels is None:
        if is_picture or (rows and columns and allocated):
            raise RejectedInputError("truncated", f"a picture of {rows} x {columns} pixels without pixel data")
        frames = 0
    else:
        # Of YBR_FULL_422 every second pixel has no colour of its own.
        stored = 2 if "422" in _text(found, "PhotometricInterpretation") else max(1, samples)
        whole = -(-rows * columns * frames * stored * allocated // 8)
        held = _fragments(data, pixels.start, syntax) if pixels.length == UNDEFINED else len(data) - pixels.start
        if not held or (pixels.length != UNDEFINED and held < pixels.length) or (not is_packed and held < whole):
            text = f"{held:,} bytes of pixels, of {whole:,} that the header states"
            raise RejectedInputError("truncated", text)
    return DicomFacts(
        MEDIA_TYPE, _text(found, "Modality"), rows, columns, frames, samples, bits,
        _text(found, "PhotometricInterpretation"), syntax[:MOST_TEXT], is_packed,
        _spacing(found), _number(found.get("SliceThickness")), _captured_at(found),
    )  # fmt: skip


class _Pixels(NamedTuple):
    """Where the value of the pixels begins, and the length that is stated for it."""

    start: int
    length: int


def _header(data: bytes) -> tuple[Dataset, str, _Pixels | None]:
    """Return the elements before the pixels, the transfer syntax, and the pixels; None: there are none.

    Not by `dcmread`, which inflates whatever says that it is deflated, and reads on where an element is cut off.
    """
    from pydicom.filereader import read_dataset

    stream = io.BytesIO(data[:MOST_HEADER])
    stream.seek(PREAMBLE)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: int(tag) >> 16 != 2)
    syntax = str(meta.get("TransferSyntaxUID", ""))
    if not syntax:
        raise RejectedInputError("undecodable", "it states no transfer syntax")
    if syntax in DEFLATED:
        raise RejectedInputError("unsupported_media", f"a deflated data set ({syntax}) is not read: it may be any size")
    is_implicit = syntax == IMPLICIT
    seen: list[tuple[int, int]] = []

    def is_pixels(tag: int, vr: str | None, length: int) -> bool:
        if len(seen) > MOST_ELEMENTS:
            raise RejectedInputError("undecodable", f"more than {MOST_ELEMENTS:,} elements")
        seen.append((int(tag), length))
        return int(tag) in PIXELS

    found = read_dataset(stream, is_implicit, syntax != BIG_ENDIAN, stop_when=is_pixels)
    if seen and seen[-1][0] in PIXELS:
        # It stands before the element again: tag, for explicit ones VR and two bytes of nothing, length.
        return found, syntax, _Pixels(stream.tell() + (8 if is_implicit else 12), seen[-1][1])
    if len(data) > MOST_HEADER:
        raise RejectedInputError("unsupported_media", f"more than {MOST_HEADER:,} bytes stand before the pixels")
    # pydicom takes what is there of an element that is cut off, and says nothing.
    last: Any = found.get_item(seen[-1][0]) if seen else None
    if seen and seen[-1][1] == UNDEFINED:
        is_whole = data[-8:-4] in END_OF_SEQUENCE
    else:
        is_whole = last is not None and last.value_tell + last.length == len(data)
    if not is_whole:
        raise RejectedInputError("truncated", f"it ends after {len(data):,} bytes, inside an element of its header")
    return found, syntax, None


def _fragments(data: bytes, at: int, syntax: str) -> int:
    """Return the bytes of packed pixels, item by item up to the mark of their end (PS3.5, A.4)."""
    order: Literal["little", "big"] = "big" if syntax == BIG_ENDIAN else "little"
    total = 0
    for _ in range(MOST_FRAGMENTS):
        if at + 8 > len(data):
            raise RejectedInputError("truncated", f"the packed pixels have no end in {len(data):,} bytes")
        group, element = (int.from_bytes(data[at + place : at + place + 2], order) for place in (0, 2))
        size = int.from_bytes(data[at + 4 : at + 8], order)
        if (group, element) == (0xFFFE, 0xE0DD):
            return total
        if (group, element) != (0xFFFE, 0xE000):
            raise RejectedInputError("undecodable", f"no item of packed pixels at byte {at:,}")
        at, total = at + 8 + size, total + size
    raise RejectedInputError("undecodable", f"more than {MOST_FRAGMENTS:,} pieces of packed pixels")


def _is_packed(syntax: str) -> bool:
    from pydicom.uid import UID

    uid = UID(syntax)
    return bool(uid.is_transfer_syntax and uid.is_compressed)


def _uid_name(uid: str) -> str:
    from pydicom.uid import UID

    return UID(uid).name


def _whole(found: Dataset, name: str) -> int:
    value = found.get(name)
    number = 0 if value in (None, "") else int(str(value))
    if not 0 <= number < 1 << 31:
        raise RejectedInputError("undecodable", f"{name} is {number}")
    return number


def _number(value: object) -> float | None:
    """Return a number that is stated; None where none is: nothing, NaN or infinity."""
    number = math.nan if value in (None, "") else float(str(value))
    return number if math.isfinite(number) else None


def _spacing(found: Dataset) -> tuple[float, float] | None:
    said = found.get("PixelSpacing") or found.get("ImagerPixelSpacing") or ()
    numbers = [_number(each) for each in said] if len(said) == 2 else []
    if not numbers or numbers[0] is None or numbers[1] is None:
        return None
    return numbers[0], numbers[1]


def _text(found: Dataset, name: str) -> str:
    value: Any = found.get(name)
    return "" if value is None else str(value)[:MOST_TEXT]


def _captured_at(found: Dataset) -> datetime | None:
    """Return when it was acquired: AcquisitionDateTime, else date and time of acquisition, content, series or study."""
    said = [_text(found, "AcquisitionDateTime")]
    said += [_text(found, f"{what}Date") + _text(found, f"{what}Time")
             for what in ("Acquisition", "Content", "Series", "Study") if _text(found, f"{what}Date")]  # fmt: skip
    offset = _text(found, "TimezoneOffsetFromUTC")
    for text in said:
        moment, sign, zone = text[:14], text[-5:-4], text[-5:]
        if len(moment) < 8:
            continue
        shift = zone if sign in ("+", "-") and len(text) > 14 else offset
        try:
            at = datetime.strptime(moment.ljust(14, "0"), "%Y%m%d%H%M%S") - _shift(shift)
        except (ValueError, OverflowError):  # a date of year 1 or 9999, which the offset takes out of the calendar
            continue
        return at.replace(tzinfo=UTC)
    return None


def _shift(zone: str) -> timedelta:
    if len(zone) == 5 and zone[0] in "+-" and zone[1:].isdecimal():
        found = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:]))
        return -found if zone[0] == "-" else found
    return timedelta(0)
