"""Files of text into str: UTF-8, with or without its mark, and UTF-16 that says so by one. Nothing is guessed."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field

import numpy as np

from loaders.axes import Array, DType
from loaders.errors import DecodeError, FormatError

UTF_8, UTF_16_LE, UTF_16_BE = "utf-8", "utf-16-le", "utf-16-be"
MOST_BYTES = 64 << 20
"""A text of more is refused."""

_MARKS = ((codecs.BOM_UTF8, UTF_8), (codecs.BOM_UTF16_LE, UTF_16_LE), (codecs.BOM_UTF16_BE, UTF_16_BE))


def text_coding(raw: bytes | memoryview) -> tuple[str, int]:
    """Return the coding that a file's mark states, utf-8 without one, and how many bytes the mark takes."""
    head = bytes(raw[:4])
    return next(((name, len(mark)) for mark, name in _MARKS if head.startswith(mark)), (UTF_8, 0))


def decode_text(raw: bytes | memoryview) -> str:
    """Return the text of a file, without its mark; ends of lines stay as they are.

    Raises:
        DecodeError: If it is in no coding that is read, or holds NUL: data, not text.
    """
    if len(raw) > MOST_BYTES:
        raise DecodeError(f"a text of {len(raw):,} bytes, limit {MOST_BYTES:,}", rule="too_large")
    coding, start = text_coding(raw)
    try:
        text = bytes(raw[start:]).decode(coding)
    except UnicodeDecodeError as error:
        raise DecodeError(
            f"no {coding.upper()} at byte {start + error.start:,} ({error.reason}); write it as UTF-8, for example by "
            "iconv -f WINDOWS-1252 -t UTF-8"
        ) from error
    if "\0" in text:
        raise DecodeError(f"a NUL character at place {text.index(chr(0)):,}: data, not text")
    return text


@dataclass(frozen=True, slots=True)
class Utf8Bytes:
    """Each text as its bytes in UTF-8, whatever it is stored in: a list of uint8, (bytes,).

    `tensors(reader, ragged={"text": "nested"})` makes one tensor of values and one of offsets of them.

    Attributes:
        most: Bytes after which a text is cut, at the beginning of a character. None: none is cut.
    """

    most: int | None = None
    shape: tuple[int | None, ...] = field(init=False, default=(None,))
    dtype: DType = field(init=False, default=np.dtype("uint8"))
    codec: str = field(init=False, default="text")

    def __post_init__(self) -> None:
        if self.most is not None and self.most < 1:
            raise FormatError(f"most is at least 1 byte, found {self.most}")

    @property
    def most_bytes(self) -> int:
        """Bytes of the largest result."""
        return MOST_BYTES * 3 // 2 if self.most is None else self.most

    def decoded(self, raw: memoryview, *, seed: int, max_pixels: int) -> tuple[Array, None]:
        """Decode one text; uint8 (bytes,). `seed` and `max_pixels` have no say.

        Raises:
            DecodeError: As for `decode_text`.
        """
        found = decode_text(raw).encode()
        if self.most is not None and len(found) > self.most:
            end = self.most
            while found[end] & 0xC0 == 0x80:
                end -= 1
            found = found[:end]
        return np.frombuffer(found, dtype=np.uint8).copy(), None
