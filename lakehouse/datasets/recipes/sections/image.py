"""[image]: how pictures are read, and what is stored of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from lakehouse.datasets.recipes.sections.choice import CHOICES, check_choices
from lakehouse.errors import RecipeError
from loaders.publishing.picture_form import CODECS, FITS, INTERPOLATIONS, KEEP, LOSSLESS, MAX_SIDE, PictureForm

PIXELS = ("rgb", "native")


@dataclass(frozen=True, slots=True)
class Images:
    """How pictures are read, and what is stored of them.

    Where `size`, `max_side` or `codec` is stated, pictures are stored anew when the version is materialised: upright,
    as 8 bits of RGB, without metadata; what lies in them (boxes, points, polygons, masks) moves with them.

    Attributes:
        pixels: `rgb`: all as uint8 (height, width, 3); pictures deeper than 8 bits are left out, as `deep_pixels`.
            `native`: each with the type that its values have, deeper ones as (height, width) or (height, width,
            channels) of uint16, int32, float32 ...; nothing is scaled.
        size: [height, width] of all stored pictures, px; smaller ones are enlarged. []: each as large as it is.
        fit: How a picture of other proportions becomes `size`. `stretch`: all of it, whatever that does to its
            proportions. `cover`: the largest part in its middle that has the proportions of `size`. `contain`: all of
            it in its proportions, with bars beside it.
        padding: Level of the bars of `contain`, 0 to 255.
        max_side: The longer side of stored pictures is at most this long, px; smaller ones stay as large as they are.
        interpolation: Of resizing, by Pillow: each but `nearest` averages where it shrinks.
        codec: `keep`: that of the picture where it is JPEG, PNG or WebP, else PNG; one that is upright and needs no
            resizing stays byte for byte as it was landed. `jpeg`, `png`, `webp`: all pictures are encoded so.
        quality: Of JPEG (4:2:0) and WebP, 1 to 100.
        min_visible: An object is dropped where less than this share of its area is left in the picture, and always
            where nothing is; 0 to 1.
    """

    pixels: str = field(default="rgb", metadata={CHOICES: PIXELS})
    size: tuple[int, ...] = ()
    fit: str = field(default="stretch", metadata={CHOICES: FITS})
    padding: int = 0
    max_side: int | None = None
    interpolation: str = field(default="bilinear", metadata={CHOICES: INTERPOLATIONS})
    codec: str = field(default=KEEP, metadata={CHOICES: CODECS})
    quality: int = 90
    min_visible: float = 0.0

    @property
    def form(self) -> PictureForm | None:
        """What is stored of pictures; None: they stay as they were landed."""
        if not self.size and self.max_side is None and self.codec == KEEP:
            return None
        size = (self.size[0], self.size[1]) if self.size else None
        return PictureForm(
            size, self.fit, self.padding, self.max_side, self.interpolation, self.codec, self.quality,
            self.min_visible,
        )  # fmt: skip


def check_images(images: Images, where: str) -> None:
    """Refuse what no picture can become, and keys that would change nothing.

    Raises:
        RecipeError: If so; the message names the key.
    """
    check_choices(images, "image", where)
    problem = _problem(images)
    if problem:
        raise RecipeError(f"{where}: image.{problem}")


def _problem(images: Images) -> str:
    usual = Images()
    if images.size and (len(images.size) != 2 or not all(1 <= side <= MAX_SIDE for side in images.size)):
        return f"size = {list(images.size)}; it is [height, width], each from 1 to {MAX_SIDE:,} px"
    if images.max_side is not None and not 1 <= images.max_side <= MAX_SIDE:
        return f"max_side = {images.max_side}; it is from 1 to {MAX_SIDE:,} px"
    if images.size and images.max_side is not None:
        return "max_side is for pictures that differ in size, and image.size gives them one; leave one of them out"
    if not 0 <= images.padding <= 255:
        return f"padding = {images.padding}; it is a level from 0 to 255"
    if not 1 <= images.quality <= 100:
        return f"quality = {images.quality}; it is from 1 to 100"
    if not 0 <= images.min_visible <= 1:
        return f"min_visible = {images.min_visible}; it is a share from 0 to 1"
    if images.form is not None and images.pixels == "native":
        return 'pixels = "native" gives values of any depth, and what is encoded anew has 8 bits of RGB; leave it out'
    resizes = bool(images.size) or images.max_side is not None
    needs = (
        ("fit", bool(images.size), "image.size"),
        ("padding", images.fit == "contain", 'image.fit = "contain"'),
        ("interpolation", resizes, "image.size or image.max_side"),
        ("quality", images.form is not None and images.codec not in LOSSLESS, "a codec that has one"),
        ("min_visible", images.fit == "cover", 'image.fit = "cover", which alone cuts anything off'),
    )
    for key, is_of_use, what in needs:
        if getattr(images, key) != getattr(usual, key) and not is_of_use:
            return f"{key} changes nothing without {what}; add that, or leave it out"
    return ""
