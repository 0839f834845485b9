"""Samples as a recipe's [image] or [audio] has them stored, one by one: media type, size, and where its answer lies."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from lakehouse.datasets.policies.kind import AnswerKind
from lakehouse.datasets.policies.moved_answers import is_movable, move_answer
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.errors import RecipeError
from lakehouse.home import Root
from lakehouse.materialise.recoding import recording_shape
from lakehouse.materialise.recoding import told_of as told_of_recordings
from lakehouse.materialise.reshaping import picture_facts
from lakehouse.materialise.reshaping import told_of as told_of_pictures
from lakehouse.media.kinds.registry import Judges
from loaders.publishing.picture_encoding import estimated_bytes, placement_of, stays
from loaders.publishing.picture_form import PictureForm
from loaders.publishing.recording_form import RecordingForm

REGIONS = "regions"
"""Kind of values that say where something is in a picture."""


class Stored(NamedTuple):
    """What is stored of a sample.

    Attributes:
        media_type: What it is.
        size_bytes: About how many; exact where it stays as it was landed.
        answer: What is said of it, about the stored picture.
        left: Objects that lie outside of what is kept.
    """

    media_type: str
    size_bytes: int
    answer: Any
    left: int = 0


Told = Callable[[str, str, int, Any], Stored]
"""From place, media type, bytes and answer of a sample as it was landed to what is stored of it."""


def stored_of(root: Root, recipe: Recipe, kind: AnswerKind | None, judges: Judges) -> Told | None:
    """Return what tells of samples how they are stored; None where a recipe states nothing. It travels to workers.

    Args:
        root: The lake.
        recipe: The recipe.
        kind: Kind of its answers; None: it has none.
        judges: Limits of the lake.

    Raises:
        RecipeError: If nothing moves such answers.
    """
    if recipe.image.form is not None:
        places = kind is not None and kind.value_kind == REGIONS
        if places and kind is not None and not is_movable(kind.name):
            raise RecipeError(
                f"answers of kind {kind.name} say where something is, and nothing moves them with [image]; export a "
                "manifest, or materialise the dataset"
            )
        moved = kind.name if places and kind is not None else ""
        return functools.partial(_picture, root, recipe.image.form, moved, judges)
    if recipe.audio.form is not None:
        return functools.partial(_recording, root, recipe.audio.form)
    return None


def told_of(recipe: Recipe) -> str:
    """Return what is stored of pictures or recordings, for people; "": they are as they were landed."""
    if recipe.image.form is not None:
        return told_of_pictures(recipe.image.form)
    return "" if recipe.audio.form is None else told_of_recordings(recipe.audio.form)


def _picture(
    root: Root, form: PictureForm, kind: str, judges: Judges, place: str, media_type: str, size: int, answer: Any
) -> Stored:
    format, height, width, orientation = picture_facts(root, place, judges)
    placement = placement_of(form, height, width, orientation)
    moved = move_answer(kind, answer, placement, min_visible=form.min_visible) if kind else None
    answer, left = (answer, 0) if moved is None else moved
    if stays(form, placement):
        return Stored(media_type, size, answer, left)
    codec = form.codec_of(format)
    return Stored(f"image/{codec}", estimated_bytes(placement, codec), answer, left)


def _recording(root: Root, form: RecordingForm, place: str, media_type: str, size: int, answer: Any) -> Stored:
    shape = recording_shape(root, place, form)
    return Stored(f"audio/{shape.codec}", shape.bytes, answer) if shape.codec else Stored(media_type, size, answer)
