"""Extractors that tests hand to the step or to a fake entry point."""

from __future__ import annotations

from lakehouse.extractors.extractor import Dimension, Extractor, Value
from lakehouse.media.view import EntityView, ImageView

FIRST_BYTE = Dimension("first_byte", "integer", "The first byte.")
ASPECT = Dimension("aspect", "number", "Width over height.", "1")


def first_byte(view: EntityView) -> dict[str, Value]:
    """Measure the first byte of anything."""
    return {"first_byte": view.data[0]}


def aspect(view: ImageView) -> dict[str, Value]:
    """Measure the shape of an image from its header."""
    return {"aspect": view.facts.width_px / view.facts.height_px}


def boom(view: EntityView) -> dict[str, Value]:
    """Fail as someone else's code does, with an address in the message."""
    raise ZeroDivisionError(f"no luck with {object()!r}\nand a second line")


def extractor(function=first_byte, *, name="mine", version=1, dimensions=(FIRST_BYTE,), media_types=("",)) -> Extractor:
    """Return an extractor; what is not given is the plain case."""
    return Extractor(name=name, version=version, dimensions=dimensions, media_types=media_types, function=function)


ASPECT_RATIO = extractor(aspect, name="aspect_ratio", dimensions=(ASPECT,), media_types=("image/",))
