"""The array behind the id of an entity, or of the bytes of a file: pictures, sound, arrays, within the usual limits."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lakehouse.errors import PetrelError, RejectedInputError, TensorError
from lakehouse.media.array import read_array
from lakehouse.media.audio import read_audio
from lakehouse.media.image import decoding, open_image
from lakehouse.media.limits import DEFAULT_LIMITS
from lakehouse.media.sniff import sniff
from lakehouse.tensors.value import DTYPES, Array
from loaders.decoding.native import decode_deep

Open = Callable[[str], bytes]
"""From the id of an entity to its bytes."""

_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Decoder:
    """Decodes what functions over arrays are given; without `open`, files alone.

    Attributes:
        open: Reads entities of a lake.
    """

    open: Open | None = None

    def __call__(self, value: object) -> Array:
        """Return the array of an id (text) or a file (bytes).

        Raises:
            TensorError: If there is none.
        """
        if isinstance(value, str):
            if not _ID.fullmatch(value):
                raise TensorError(f"{value[:80]!r} is no entity id: expected 64 hex digits")
            if self.open is None:
                raise TensorError(f"entity {value}: entities are read in SQL over a lake alone, found none")
            try:
                value = self.open(value)
            except (PetrelError, OSError) as error:
                raise TensorError(str(error)) from error
        if not isinstance(value, bytes):
            raise TensorError(f"expected an entity id or the bytes of a file, found {type(value).__name__}")
        try:
            return decoded(value)
        except RejectedInputError as error:
            raise TensorError(f"cannot be decoded: {error}") from error


def decoded(data: bytes) -> Array:
    """Return the array of a file.

    Pictures are uint8 (height, width, 3) as stored, before EXIF rotation, without alpha; those deeper than 8 bits are
    of their own numbers, (height, width) or, in colour or with alpha, (height, width, channels). Sound is float32
    (frames, channels); a NumPy file is itself.

    Raises:
        RejectedInputError: If it cannot be decoded, or crosses a limit.
        TensorError: If it is of a kind that has no array here: video, text.
    """
    media_type = sniff(data) or "bytes of no known kind"
    kind = media_type.partition("/")[0]
    if kind == "image":
        image = open_image(data)
        with decoding():
            deep = decode_deep(data, max_pixels=DEFAULT_LIMITS.max_pixels)
            return np.asarray(image.convert("RGB")) if deep is None else deep
    if kind == "audio":
        return read_audio(data)[1]
    if kind in ("video", "text") or media_type == "bytes of no known kind":
        raise TensorError(f"{media_type} has no array in SQL; expected a picture, a sound or a NumPy file")
    array = read_array(data)[1]
    if array.dtype.name not in DTYPES:
        raise TensorError(f"an array of dtype {array.dtype.name}; known: {', '.join(DTYPES)}")
    return array
