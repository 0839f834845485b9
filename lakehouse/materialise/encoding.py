"""Who gives the stored bytes of samples: as they were landed, or encoded anew by the versions that were built for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.versions.version import (
    CLIPS,
    CLIPS_CONTRACT,
    PICTURES,
    RECORDINGS,
    SAMPLES,
    VARIANTS,
    VARIANTS_CONTRACT,
)
from lakehouse.derived.identity import REFERENCES
from lakehouse.derived.reading import read_by
from lakehouse.errors import RecipeError
from lakehouse.home import Root
from lakehouse.media.kinds.registry import Judges
from loaders.decoding.verdict import decoder_of, npy_header
from loaders.publishing.picture_encoding import FORM_CONTRACT as PICTURE_CONTRACT
from loaders.publishing.picture_encoding import encoded as encoded_picture
from loaders.publishing.picture_encoding import encoder_of as picture_encoder
from loaders.publishing.picture_form import PictureForm
from loaders.publishing.recording_encoding import FORM_CONTRACT as RECORDING_CONTRACT
from loaders.publishing.recording_encoding import encoded as encoded_recording
from loaders.publishing.recording_encoding import encoder_of as recording_encoder
from loaders.publishing.recording_form import RecordingForm


def check_encoder(recipe: Recipe, contracts: Mapping[str, int], dataset: str) -> str:
    """Return the versions that samples are encoded with, if they are those of the version that was built; "": none are.

    Raises:
        RecipeError: If this machine has others: its bytes would be others, too.
    """
    if recipe.image.form is not None:
        what, prefix, here, number = "pictures", PICTURES, picture_encoder(recipe.image.form), PICTURE_CONTRACT
    elif recipe.audio.form is not None:
        what, prefix, here, number = "recordings", RECORDINGS, recording_encoder(recipe.audio.form), RECORDING_CONTRACT
    else:
        return ""
    stated = next((name.removeprefix(prefix) for name in contracts if name.startswith(prefix)), "")
    if stated != here:
        raise RecipeError(
            f"dataset {dataset} was built for {what} encoded with {stated or 'nothing'}, and here is {here}: the "
            "bytes would differ; install those versions, or build again, which gives a version of its own"
        )
    _check_contract(contracts, f"{prefix}{here}", number, dataset)
    return here


def check_decoder(contracts: Mapping[str, int], dataset: str) -> None:
    """Check that frames and variants are made as by the libraries and the code of the version that was built.

    Raises:
        RecipeError: If this machine has others: its pixels might be others, too.
    """
    _check_contract(contracts, VARIANTS, VARIANTS_CONTRACT, dataset)
    stated = next((name.removeprefix(CLIPS) for name in contracts if name.startswith(CLIPS)), None)
    if stated is None:
        return
    if stated != decoder_of():
        raise RecipeError(
            f"dataset {dataset} was built for frames decoded with {stated}, and here is {decoder_of()}: the pixels "
            "could differ; install those versions, or build again, which gives a version of its own"
        )
    _check_contract(contracts, f"{CLIPS}{stated}", CLIPS_CONTRACT, dataset)


def decoder_of_references(places: Iterable[pa.ChunkedArray]) -> str:
    """Return the versions that frames and clips are decoded with which are members themselves; "": none are.

    Ids of versions that were built before ids had them do not say: what is published tells it by itself.
    """
    told = "|".join(f'"operation":"{each}"' for each in REFERENCES)
    is_decoded = any(pc.any(pc.match_substring_regex(each, told)).as_py() for each in places)
    return f"frames by {decoder_of()}" if is_decoded else ""


def _check_contract(contracts: Mapping[str, int], name: str, here: int, dataset: str) -> None:
    stated = contracts.get(name, here)
    if stated != here:
        raise RecipeError(
            f"dataset {dataset} was built by contract {stated} of `{name}`, and here is {here}: the bytes would "
            "differ; build again, which gives a version of its own"
        )


def decides_bytes(contracts: Mapping[str, int]) -> dict[str, int]:
    """Return those of a version's contracts by which the same rows get other bytes."""
    return {name: number for name, number in contracts.items()
            if name == VARIANTS or name.startswith((PICTURES, RECORDINGS, CLIPS, SAMPLES))}  # fmt: skip


def values_alone(reader: Callable[[str], bytes], place: str) -> bytes:
    """Return the values of an array at a place without the header of its file."""
    data = reader(place)
    return data[npy_header(data)[3] :]


def reader_of(root: Root, recipe: Recipe, judges: Judges) -> Callable[[str], bytes]:
    """Return what gives the stored bytes of a sample by its place, within a lake's limits; it travels to workers."""
    if recipe.image.form is not None:
        return functools.partial(_read_picture, root, recipe.image.form, judges)
    if recipe.audio.form is not None:
        return functools.partial(_read_recording, root, recipe.audio.form, judges)
    return functools.partial(read_by, root, judges=judges)


def _read_picture(root: Root, form: PictureForm, judges: Judges, place: str) -> bytes:
    return encoded_picture(read_by(root, place, judges), form, max_pixels=judges.max_pixels)


def _read_recording(root: Root, form: RecordingForm, judges: Judges, place: str) -> bytes:
    return encoded_recording(read_by(root, place, judges), form)
