"""What an extractor sees of one entity: everything lazily, everything at most once.

Shapes: H, W are height and width of the reduced picture, not of the stored image.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from lakehouse.media.audio import AudioFacts, read_audio
from lakehouse.media.image import ImageFacts, decoding, facts_of, open_image
from lakehouse.media.limits import DEFAULT_AUDIO_LIMITS, DEFAULT_LIMITS, AudioLimits, ImageLimits

REDUCED_PX = 512
"""Longer side of the reduced picture at most. Measured on 640x480 photos: a quarter of the pixels makes decoding
and measuring together about half as long; small images are not touched."""

_WIDE_MODES = ("I", "F")


class EntityView:
    """One entity of any kind: its bytes.

    Attributes:
        data: The bytes as stored.
        media_type: What the entities step found them to be, for example audio/wav.
    """

    def __init__(self, data: bytes, *, media_type: str) -> None:
        self.data = data
        self.media_type = media_type


class ImageView(EntityView):
    """One image, decoded as little as its extractors ask for.

    Extractors share the view: treat what it hands out as read-only.

    Args:
        data: The encoded image.
        media_type: As for `EntityView`.
        limits: What counts as hostile.
    """

    def __init__(self, data: bytes, *, media_type: str = "image/*", limits: ImageLimits = DEFAULT_LIMITS) -> None:
        super().__init__(data, media_type=media_type)
        self.limits = limits

    @cached_property
    def facts(self) -> ImageFacts:
        """Facts from the header.

        Raises:
            RejectedInputError: If there is no header of an image within the limits.
        """
        return facts_of(self._image, self.data, limits=self.limits)

    @cached_property
    def _image(self) -> ImageFile.ImageFile:
        # One parse of the header for facts and picture. Reading facts needs it undecoded: they come first.
        return open_image(self.data, limits=self.limits)

    @cached_property
    def header(self) -> ImageFile.ImageFile:
        """Pillow's image, opened and not decoded, for what `facts` leaves out. Do not load or draft it.

        Raises:
            RejectedInputError: As for `facts`.
        """
        return open_image(self.data, limits=self.limits)

    @cached_property
    def picture(self) -> Image.Image:
        """The first frame as an 8-bit RGB picture, reduced so that its longer side is at most 512 px.

        The reduction is by the smallest power of two that fits: libjpeg's scaled decoding (up to 8) for JPEG, box
        means for the rest. EXIF orientation is not applied, alpha is dropped (as `convert("RGB")` does), samples
        of 16 bits keep their upper 8, and modes I and F are stretched from their own minimum and maximum.

        Raises:
            RejectedInputError: truncated or undecodable.
        """
        _ = self.facts
        image = self._image
        with decoding():
            factor = _factor(max(image.size))
            if image.format in ("JPEG", "MPO") and factor > 1:
                scaled = image.draft(None, _ceil_size(image.size, min(factor, 8)))
                factor = _factor(max(image.size)) if scaled else factor
            rgb = _to_rgb(image)
            return rgb.reduce(factor) if factor > 1 else rgb

    @cached_property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """`picture` as an array: uint8, shape (H, W, 3)."""
        return np.asarray(self.picture)

    @cached_property
    def luma_picture(self) -> Image.Image:
        """Luma of `picture` as an 8-bit picture: 0.299 R + 0.587 G + 0.114 B, rounded (ITU-R BT.601)."""
        return self.picture.convert("L")

    @cached_property
    def luma(self) -> npt.NDArray[np.uint8]:
        """`luma_picture` as an array: uint8, shape (H, W)."""
        return np.asarray(self.luma_picture)

    @cached_property
    def gray(self) -> npt.NDArray[np.float32]:
        """Luma between 0 and 1: float32, shape (H, W)."""
        return self.luma.astype(np.float32) / np.float32(255)

    @cached_property
    def luma_histogram(self) -> npt.NDArray[np.int64]:
        """How many pixels of `luma` have each value: int64, shape (256,)."""
        return np.array(self.luma_picture.histogram(), dtype=np.int64)


class AudioView(EntityView):
    """One recording, decoded when first asked for.

    Extractors share the view: treat what it hands out as read-only.

    Args:
        data: The encoded recording.
        media_type: As for `EntityView`.
        limits: What counts as hostile.
    """

    def __init__(
        self, data: bytes, *, media_type: str = "audio/*", limits: AudioLimits = DEFAULT_AUDIO_LIMITS
    ) -> None:
        super().__init__(data, media_type=media_type)
        self.limits = limits

    @cached_property
    def _read(self) -> tuple[AudioFacts, npt.NDArray[np.float32]]:
        return read_audio(self.data, limits=self.limits)

    @property
    def facts(self) -> AudioFacts:
        """Facts of the recording.

        Raises:
            RejectedInputError: With one of the rules of `lakehouse.media.audio`.
        """
        return self._read[0]

    @property
    def samples(self) -> npt.NDArray[np.float32]:
        """Samples as the reader gives them: float32, (frames, channels); whole numbers are scaled to [-1, 1).

        Raises:
            RejectedInputError: As for `facts`.
        """
        return self._read[1]


def _factor(longer_side: int) -> int:
    factor = 1
    while -(-longer_side // factor) > REDUCED_PX:
        factor *= 2
    return factor


def _ceil_size(size: tuple[int, int], factor: int) -> tuple[int, int]:
    # libjpeg rounds a scaled side up; asking for exactly that size gives exactly that scale.
    return -(-size[0] // factor), -(-size[1] // factor)


def _to_rgb(image: ImageFile.ImageFile) -> Image.Image:
    if image.mode == "RGB":
        image.load()
        return image
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in _WIDE_MODES:
        return Image.fromarray(_stretched(np.asarray(image))).convert("RGB")
    return image.convert("RGB")


def _stretched(samples: npt.NDArray[np.int32] | npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    finite = np.nan_to_num(samples.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(finite.min()), float(finite.max())
    if high <= low:
        return np.zeros(samples.shape, dtype=np.uint8)
    return ((finite - low) * (255.0 / (high - low))).clip(0, 255).astype(np.uint8)
