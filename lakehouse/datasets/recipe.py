"""A recipe: what a dataset is made of, as text that people write and review."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from lakehouse.datasets.canonical import CODEC, INSTANT, ORDERED, PARAMETERS, fields_of, plain_fields
from lakehouse.datasets.policies import policies
from lakehouse.datasets.policies.settings import BOX_FORMATS, Label
from lakehouse.datasets.split_names import SPLIT, SPLIT_HELP, slip
from lakehouse.errors import RecipeError
from lakehouse.names import nearest
from lakehouse.typed import fill, read_toml
from schemas.opinions import ACTOR_KINDS

PIXELS = ("rgb", "native")
TIES = ("exclude", "lowest")
ON_JOIN = ("fail", "keep")
ON_CONFLICT = ("fail", "exclude")
RATIO_TOLERANCE = 1e-9
COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OFFICIAL = {"column": COLUMN, "folder": re.compile(r"[0-9]{1,3}"), "key": re.compile(r".+")}
NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,99}")


@dataclass(frozen=True, slots=True)
class Select:
    """Which entities are considered.

    Attributes:
        sql: One SELECT in DuckDB's dialect that returns `entity_id`. Its other columns become fields of the samples.
        params: Values for `$name` in it.
    """

    sql: str = "select entity_id from entities"
    params: Mapping[str, object] = field(default_factory=dict, metadata={CODEC: PARAMETERS})


@dataclass(frozen=True, slots=True)
class Strata:
    """How many of what.

    Attributes:
        by: `label` or columns of `entities_wide`; their values together are the cell.
        max: Members per cell at most; 0 means no limit.
        min: Members per cell at least; fewer is an error that names the cell. Cells are those that any picked
            entity falls into, and those named in `cells`; a cell's own maximum, where lower, is its minimum too.
        cells: Cell (`frog`, or `frog|real` for two; a `|` or `\\` in a value of several has a `\\` before it) -> its
            own maximum.
        bins: Column of numbers in `by` -> the edges of its cells, rising (`[0.2, 0.5]`: `<0.2`, `0.2..0.5`, `>=0.5`),
            or a number of quantiles of the selected values (`4`: `q1` to `q4`).
    """

    by: tuple[str, ...] = ()
    max: int = 0
    min: int = 0
    cells: Mapping[str, int] = field(default_factory=dict)
    bins: Mapping[str, object] = field(default_factory=dict, metadata={CODEC: PARAMETERS})


@dataclass(frozen=True, slots=True)
class Split:
    """Who goes where.

    Attributes:
        ratios: Split -> share; shares add up to 1. The order given is the order of the hash ranges.
        group: Name of a group key whose values stay together, an entity without one on its own; a key that no
            picked entity has is an error. "" for every entity on its own. A group's place is that of its oldest
            entity, so that nothing that comes later moves it.
        official: Where the split stands in the data, in place of ratios: `column:NAME` (of the selection, else of
            `entities_wide`), `folder:LEVEL` (of the path inside the drop, the first is 0) or `key:NAME` (a group
            key). Nothing stated leaves an entity out with reason no_split.
        names: Value that stands there -> split, where they differ: `{ valid = "val" }`; "" for a value that is no
            split.
        on_join: Where two groups that both existed turn out to be one, old members of the younger one change their
            split. `fail` stops the build and names them, `keep` builds and notes them (`moved`).
        on_conflict: Where an entity, or a leak group, is in two official splits: `fail` stops the build and names
            them, `exclude` leaves them out with reason several_splits.
    """

    ratios: Mapping[str, float] = field(
        default_factory=lambda: {"train": 0.8, "val": 0.1, "test": 0.1}, metadata={CODEC: ORDERED}
    )
    group: str = ""
    official: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    on_join: str = "fail"
    on_conflict: str = "fail"


@dataclass(frozen=True, slots=True)
class AsOf:
    """What had been said, and what we knew.

    Attributes:
        valid_at: Only opinions said until then (event time); None for all.
        known_at: Only opinions that we had learned until then (ingest time); None for all.
    """

    valid_at: datetime | None = field(default=None, metadata={CODEC: INSTANT})
    known_at: datetime | None = field(default=None, metadata={CODEC: INSTANT})


@dataclass(frozen=True, slots=True)
class Images:
    """How pictures are read.

    Attributes:
        pixels: `rgb`: all as uint8 (height, width, 3); pictures deeper than 8 bits are left out, as `deep_pixels`.
            `native`: each with the type that its values have, deeper ones as (height, width) or (height, width,
            channels) of uint16, int32, float32 ...; nothing is scaled.
    """

    pixels: str = "rgb"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One dataset, by name.

    Attributes:
        name: Name of the dataset: lower-case letters a-z, digits, `_` and `-`, 100 at most.
        seed: Of every random choice.
        question: Question whose answers are the labels; "" for a dataset without labels.
    """

    name: str
    seed: int = 0
    question: str = ""
    select: Select = field(default_factory=Select)
    label: Label = field(default_factory=Label)
    strata: Strata = field(default_factory=Strata)
    split: Split = field(default_factory=Split)
    as_of: AsOf = field(default_factory=AsOf)
    image: Images = field(default_factory=Images)

    def canonical(self) -> dict[str, object]:
        """The recipe as plain values, without what equals its default: what the version id hashes.

        `recipe_of` reads it back. Ratios are a list of pairs: their order decides who goes where.
        """
        return plain_fields(self)


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a TOML file.

    Raises:
        ConfigError: If the file is missing or not TOML.
        RecipeError: If a key is unknown, of the wrong type or out of range; the message names file and key.
    """
    return parse_recipe(read_toml(path), where=str(path))


def parse_recipe(record: Mapping[str, object], *, where: str) -> Recipe:
    """Build a recipe from plain values; see `load_recipe`."""
    recipe = _checked(record, where)
    # Not of what a lake recorded once: that is as it is.
    _check_slips(recipe, where)
    return recipe


def _checked(record: Mapping[str, object], where: str) -> Recipe:
    recipe = fill(Recipe, record, where=where, error=RecipeError)
    _check(recipe, where)
    split = record.get("split")
    if recipe.split.official and isinstance(split, Mapping) and "ratios" in split:
        raise RecipeError(f"{where}: split.official takes the splits from the data; leave split.ratios out")
    return recipe


def recipe_of(canonical: Mapping[str, object], *, where: str) -> Recipe:
    """Read a recipe back from its canonical form, as `gold.datasets` keeps it in `recipe_json`.

    Raises:
        RecipeError: If it has a key that this version does not know.
    """
    return _checked(fields_of(Recipe, canonical), where)


def official_place(text: str) -> tuple[str, str]:
    """Return kind (`column`, `folder` or `key`) and name of `split.official`.

    Raises:
        ValueError: If it is none of these; the message says what would be.
    """
    kind, _, name = text.partition(":")
    if kind in OFFICIAL and OFFICIAL[kind].fullmatch(name):
        return kind, name.lower() if kind == "column" else name
    raise ValueError(
        f"{text!r}; use column:NAME, folder:LEVEL (0 is the first folder of the path in the drop) or key:NAME"
    )


def _check_official(recipe: Recipe, where: str) -> None:
    split = recipe.split
    if not split.official:
        if split.names or split.on_conflict != "fail":
            raise RecipeError(f"{where}: split.names and split.on_conflict belong to split.official; add it")
        return
    try:
        official_place(split.official)
    except ValueError as error:
        raise RecipeError(f"{where}: split.official = {error}") from error
    for value, name in split.names.items():
        if name and not SPLIT.fullmatch(name):
            raise RecipeError(f"{where}: split.names has {value!r} = {name!r}; {SPLIT_HELP}")


def _check_slips(recipe: Recipe, where: str) -> None:
    """Refuse names of splits that are one slip from a usual one: a misspelt split would be built and never read."""
    split = recipe.split
    given = [("split.names", name) for name in split.names.values() if name]
    if not split.official:
        given = [("split.ratios", name) for name in split.ratios]
    for key, name in given:
        meant = slip(name, [each for _, each in given])
        if meant is not None:
            raise RecipeError(f"{where}: {key} has a split {name!r}; did you mean `{meant}`?")


def _check(recipe: Recipe, where: str) -> None:
    _check_official(recipe, where)
    if not NAME.fullmatch(recipe.name):
        # It becomes the name of a folder, and an argument of commands.
        raise RecipeError(f"{where}: name = {recipe.name!r}; use up to 100 lower-case letters a-z, digits, _ and -")
    if not -(2**63) <= recipe.seed < 2**63:
        raise RecipeError(f"{where}: seed = {recipe.seed}; it must fit into 64 bits")
    label = recipe.label
    chosen: list[tuple[str, str, tuple[str, ...]]] = [
        ("label.policy", label.policy, policies()),
        ("label.ties", label.ties, TIES),
        ("label.box_format", label.box_format, BOX_FORMATS),
        ("image.pixels", recipe.image.pixels, PIXELS),
        *(("label.kinds", kind, ACTOR_KINDS) for kind in label.asked),
        ("split.on_join", recipe.split.on_join, ON_JOIN),
        ("split.on_conflict", recipe.split.on_conflict, ON_CONFLICT),
    ]
    for name, value, known in chosen:
        if value not in known:
            raise RecipeError(f"{where}: {name} = {value!r}{nearest(value, known)}")
    if label.believe and (label.actors or label.kinds is not None):
        raise RecipeError(f"{where}: label.believe says who is heard; leave label.kinds and label.actors out")
    if not (label.asked or label.actors):
        raise RecipeError(f"{where}: label.kinds is empty and label.actors too: nobody would be asked")
    if recipe.label.quorum < 1 or not 0 <= recipe.label.min_share <= 1:
        raise RecipeError(f"{where}: label.quorum must be at least 1 and label.min_share within 0..1")
    if recipe.strata.max < 0 or recipe.strata.min < 0 or any(quota < 0 for quota in recipe.strata.cells.values()):
        raise RecipeError(f"{where}: strata.max, strata.min and strata.cells must not be negative")
    if (recipe.strata.max or recipe.strata.min or recipe.strata.cells) and not recipe.strata.by:
        raise RecipeError(f"{where}: quotas need strata.by, for example by = [\"label\"]")
    if 0 < recipe.strata.max < recipe.strata.min:
        raise RecipeError(f"{where}: strata.min = {recipe.strata.min} is above strata.max = {recipe.strata.max}")
    if "label" in recipe.strata.by and not recipe.question:
        raise RecipeError(f"{where}: strata.by has `label`, but the recipe asks no question")
    for column in recipe.strata.by:
        if not COLUMN.fullmatch(column):
            raise RecipeError(f"{where}: strata.by: {column!r} is not the name of a column")
        if recipe.strata.by.count(column) > 1:
            raise RecipeError(f"{where}: strata.by has `{column}` twice")
    ratios = recipe.split.ratios
    for split in ratios:
        # It becomes the name of a folder.
        if not SPLIT.fullmatch(split):
            raise RecipeError(f"{where}: split.ratios has {split!r}; {SPLIT_HELP}")
    if not ratios or any(not 0 <= share <= 1 for share in ratios.values()):
        raise RecipeError(f"{where}: split.ratios must be shares within 0..1, found {dict(ratios)}")
    if not math.isclose(sum(ratios.values()), 1, abs_tol=RATIO_TOLERANCE):
        raise RecipeError(f"{where}: split.ratios add up to {sum(ratios.values()):g}, expected 1")
