"""What extractors see of arrays and of texts: read when first asked for, and once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from lakehouse.media.array import read_array
from lakehouse.media.limits import DEFAULT_ARRAY_LIMITS, DEFAULT_TEXT_LIMITS, ArrayLimits, TextLimits
from lakehouse.media.text import read_text
from lakehouse.media.view import EntityView
from loaders.decoding.verdict import text_coding


class ArrayView(EntityView):
    """One array; extractors share it: treat it as read-only.

    Args:
        data: The file.
        media_type: As for `EntityView`.
        limits: What counts as hostile.
    """

    def __init__(
        self, data: bytes, *, media_type: str = "application/x-npy", limits: ArrayLimits = DEFAULT_ARRAY_LIMITS
    ) -> None:
        super().__init__(data, media_type=media_type)
        self.limits = limits

    @cached_property
    def array(self) -> npt.NDArray[np.generic]:
        """The array, in this machine's order of bytes.

        Raises:
            RejectedInputError: With one of the rules of `lakehouse.media.array`.
        """
        return read_array(self.data, limits=self.limits)[1]


class TextView(EntityView):
    """One text.

    Args:
        data: The file.
        media_type: As for `EntityView`.
        limits: What counts as hostile.
    """

    def __init__(
        self, data: bytes, *, media_type: str = "text/plain", limits: TextLimits = DEFAULT_TEXT_LIMITS
    ) -> None:
        super().__init__(data, media_type=media_type)
        self.limits = limits

    @property
    def coding(self) -> str:
        """What its bytes are in: utf-8, utf-16-le or utf-16-be."""
        return text_coding(self.data)[0]

    @cached_property
    def text(self) -> str:
        """The text, without a byte order mark; ends of lines as they are.

        Raises:
            RejectedInputError: With one of the rules of `lakehouse.media.text`.
        """
        return read_text(self.data, limits=self.limits)[1]
