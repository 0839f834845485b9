"""From what is selected, and the answers about it, to what is considered: one row for each sample."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from lakehouse.datasets.policies.each_clip import each_clip
from lakehouse.datasets.policies.each_window import EACH_WINDOW
from lakehouse.datasets.policies.kind import AnswerKind
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.recipes.sections.samples import Samples
from lakehouse.datasets.recipes.sections.strata import Strata
from lakehouse.datasets.sampling.clips import OF_WHOLE, VIDEOS, clips_of
from lakehouse.datasets.sampling.regions import PICTURES, regions_of
from lakehouse.datasets.sampling.rows import SAMPLES
from lakehouse.datasets.sampling.series import SERIES, windows_in
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import Pins, query
from lakehouse.views.registry import wide_kinds
from schemas.tables import ENTITIES

PICTURES_PER_TASK = 2_000
SERIES_PER_TASK = 50
VIDEOS_PER_TASK = 500

ORDERS = ("integer", "number", "timestamp")
"""Kinds of columns that order a series."""

OWN_ORDERS = ("int", "uint", "float", "timestamp", "date")
"""What types of columns of a selection that order a series begin with."""

Consider = Callable[..., Relation]
"""`lakehouse.datasets.plan.consider` with what no kind of sample changes."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """What is considered.

    Attributes:
        rows: entity_id and fields_json; of derived samples `SAMPLES`.
        tally: The answer about each, as `lakehouse.datasets.hearing.answers.tally` gives it; None without a question.
        derived: Whether samples are made of entities.
    """

    rows: Relation
    tally: Relation | None
    derived: bool = False


def kind_of_samples(samples: Samples, kind: AnswerKind | None) -> AnswerKind | None:
    """Return the kind of the answers that samples have, where those that are heard are of `kind`."""
    if samples.of == "clips":
        return None if kind is None else each_clip(kind)
    return EACH_WINDOW if samples.of == "windows" else kind


def sampled_by(
    lake: Lake,
    recipe: Recipe,
    picked: Relation,
    votes: Relation | None,
    pins: Pins,
    *,
    kind: AnswerKind | None,
    own: Mapping[str, str],
    considering: Consider,
) -> Sampled:
    """Return the samples of a recipe.

    Args:
        lake: The lake.
        recipe: The recipe.
        picked: entity_id and fields_json of what is selected.
        votes: What the answers about each entity come to; None without a question.
        pins: What the build reads.
        kind: Kind of these answers.
        own: Columns of the selection's own, by type.
        considering: Considers entities.

    Raises:
        RecipeError: If windows have no order, or answers that are no labels; or answers are of no whole video.
    """
    if recipe.samples.of == "clips":
        return _clips(lake, recipe, picked, votes, pins, kind, considering)
    if recipe.samples.of == "windows":
        return _windows(lake, recipe, picked, votes, pins, kind, own, considering)
    if recipe.samples.of == "entities" or votes is None:
        return Sampled(picked, votes)
    pictures = query(lake, PICTURES, inputs={"picked": picked, "tally": votes}, pins=pins)
    make = functools.partial(regions_of, samples=recipe.samples)
    return _mapped(lake, recipe, pictures, make, PICTURES_PER_TASK)


def _windows(
    lake: Lake, recipe: Recipe, picked: Relation, votes: Relation | None, pins: Pins, kind: AnswerKind | None,
    own: Mapping[str, str], considering: Consider,
) -> Sampled:  # fmt: skip
    if kind is not None and not kind.one_label:
        raise RecipeError(
            f'recipe {recipe.name}: samples.of = "windows", and answers to `{recipe.question}` are of kind '
            f"{kind.name}; windows have labels, or no question is asked"
        )
    place = _order(recipe, own)
    considered = considering(_whole(recipe), picked, kind=kind, tally=votes)
    wide = place and place not in ENTITIES.column_names
    text = SERIES.format(
        place=f"e.{place}" if place else "cast(null as double)",
        entities="entities_wide" if wide else "silver.entities",
    )
    series = query(lake, text, inputs={"considered": considered}, params={"series": recipe.samples.series}, pins=pins)
    make = functools.partial(
        windows_in,
        samples=recipe.samples,
        own="" if place else recipe.samples.order,
        unsettled=() if kind is None else tuple(each.name for each in kind.reasons),
        asks=kind is not None,
    )
    return _mapped(lake, recipe, series, make, SERIES_PER_TASK)


def _clips(
    lake: Lake, recipe: Recipe, picked: Relation, votes: Relation | None, pins: Pins, kind: AnswerKind | None,
    considering: Consider,
) -> Sampled:  # fmt: skip
    if kind is not None and kind.value_kind not in OF_WHOLE:
        raise RecipeError(
            f'recipe {recipe.name}: samples.of = "clips", and answers to `{recipe.question}` are of kind {kind.name}; '
            "clips have what is said of the whole video: a label, labels, a number, yes or no, or a text"
        )
    inputs = {"considered": considering(_whole(recipe), picked, kind=kind, tally=votes)}
    inputs |= {} if votes is None else {"tally": votes}
    cell, join = ("null", "") if votes is None else ("t.cell", "left join tally t on t.entity_id = c.entity_id")
    videos = query(lake, VIDEOS.format(cell=cell, tally=join), inputs=inputs, pins=pins)
    return _mapped(lake, recipe, videos, functools.partial(clips_of, samples=recipe.samples), VIDEOS_PER_TASK)


def _whole(recipe: Recipe) -> Recipe:
    """Return the recipe without what is of samples; whether an entity can be in one at all is not."""
    return replace(recipe, strata=Strata(), label=replace(recipe.label, only=(), exclude=()))


def _order(recipe: Recipe, own: Mapping[str, str]) -> str:
    """Return the column of entities_wide that orders series; "": one of the selection's own does."""
    name = recipe.samples.order
    where = f"recipe {recipe.name}: samples.order = {name!r}"
    if name in own:
        if not own[name].startswith(OWN_ORDERS):
            raise RecipeError(f"{where}: the selection's column holds {own[name]}; use numbers or times")
        return ""
    kinds = wide_kinds()
    if name not in kinds or name in ENTITIES.clock_columns:
        like = nearest(name, (*own, *kinds))
        raise RecipeError(f"{where}: neither select.sql nor entities_wide has this column{like}")
    if kinds[name] not in ORDERS:
        raise RecipeError(f"{where}: it is of kind {kinds[name]}; use a column of numbers or times")
    return name


def _mapped(
    lake: Lake,
    recipe: Recipe,
    rows: Relation,
    make: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]],
    rows_per_task: int,
) -> Sampled:
    made = lake.engine.map_batches(
        rows, make, SAMPLES, rows_per_task=rows_per_task, label=f"{recipe.samples.of} of {recipe.name}"
    )
    found = lake.engine.stage(made)
    return Sampled(found, found, derived=True)
