"""A recipe: what a dataset is made of, as text that people write and review."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lakehouse.datasets.policies import policies
from lakehouse.datasets.policies.settings import Label
from lakehouse.datasets.recipes.canonical import fields_of, plain_fields
from lakehouse.datasets.recipes.files import read_recipe_text
from lakehouse.datasets.recipes.sections.as_of import AsOf
from lakehouse.datasets.recipes.sections.audio import Recordings, check_recordings
from lakehouse.datasets.recipes.sections.balance import Balance, check_balance
from lakehouse.datasets.recipes.sections.changes import Changes, check_changes
from lakehouse.datasets.recipes.sections.choice import check_choices
from lakehouse.datasets.recipes.sections.duplicates import Duplicates, check_duplicates
from lakehouse.datasets.recipes.sections.fields import Fields, check_fields
from lakehouse.datasets.recipes.sections.image import Images, check_images
from lakehouse.datasets.recipes.sections.samples import Samples, check_samples
from lakehouse.datasets.recipes.sections.select import Hard, Select, check_select
from lakehouse.datasets.recipes.sections.split import Split, check_slips, check_split
from lakehouse.datasets.recipes.sections.strata import Strata, check_strata
from lakehouse.datasets.recipes.sections.variants import Variants, check_variants
from lakehouse.errors import RecipeError
from lakehouse.names import DATASET_NAME, nearest
from lakehouse.typed import fill

NAME = DATASET_NAME


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
    changes: Changes = field(default_factory=Changes)
    label: Label = field(default_factory=Label)
    samples: Samples = field(default_factory=Samples)
    strata: Strata = field(default_factory=Strata)
    balance: Balance = field(default_factory=Balance)
    split: Split = field(default_factory=Split)
    duplicates: Duplicates = field(default_factory=Duplicates)
    as_of: AsOf = field(default_factory=AsOf)
    image: Images = field(default_factory=Images)
    fields: Fields = field(default_factory=Fields)
    variants: Variants = field(default_factory=Variants)
    audio: Recordings = field(default_factory=Recordings)

    def canonical(self) -> dict[str, object]:
        """The recipe as plain values, without what equals its default: what the version id hashes.

        `recipe_of` reads it back. Ratios are a list of pairs: their order decides who goes where.
        """
        return plain_fields(self)


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a TOML file, and those that it `extends`.

    Raises:
        ConfigError: If a file is missing or not TOML.
        RecipeError: If a key is unknown, of the wrong type or out of range; the message names file and key.
            `lakehouse.datasets.recipes.mistakes.mistakes_in` finds all such mistakes, with their lines.
    """
    return parse_recipe(read_recipe_text(path).record, where=str(path))


def parse_recipe(record: Mapping[str, object], *, where: str) -> Recipe:
    """Build a recipe from plain values; see `load_recipe`."""
    if _has_nul(record):
        raise RecipeError(f"{where}: a text has a NUL character, which no query can hold; take it out")
    recipe = _checked(record, where)
    # Not of what a lake recorded once: that is as it is.
    check_slips(recipe.split, where)
    return recipe


def _has_nul(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(_has_nul(each) for each in (*value, *value.values()))
    if isinstance(value, list | tuple):
        return any(_has_nul(each) for each in value)
    return isinstance(value, str) and "\0" in value


def _checked(record: Mapping[str, object], where: str) -> Recipe:
    recipe = fill(Recipe, record, where=where, error=RecipeError)
    _check(recipe, where)
    split = record.get("split")
    if recipe.split.official and isinstance(split, Mapping) and "ratios" in split:
        raise RecipeError(f"{where}: split.official takes the splits from the data; leave split.ratios out")
    if recipe.split.folds and isinstance(split, Mapping) and "ratios" in split:
        raise RecipeError(f"{where}: split.folds are equal shares; leave split.ratios out")
    return recipe


def recipe_of(canonical: Mapping[str, object], *, where: str) -> Recipe:
    """Read a recipe back from its canonical form, as `gold.datasets` keeps it in `recipe_json`.

    Raises:
        RecipeError: If it has a key that this version does not know.
    """
    return _checked(fields_of(Recipe, canonical), where)


def _check(recipe: Recipe, where: str) -> None:
    if not NAME.fullmatch(recipe.name):
        # It becomes the name of a folder, and an argument of commands.
        raise RecipeError(f"{where}: name = {recipe.name!r}; use up to 100 lower-case letters a-z, digits, _ and -")
    if not -(2**63) <= recipe.seed < 2**63:
        raise RecipeError(f"{where}: seed = {recipe.seed}; it must fit into 64 bits")
    check_select(recipe.select, where)
    check_changes(recipe.changes, where)
    _check_label(recipe.label, where)
    check_images(recipe.image, where)
    check_fields(recipe.fields, where)
    check_variants(recipe.variants, where)
    check_recordings(recipe.audio, where)
    if recipe.audio.form is not None and recipe.image.form is not None:
        raise RecipeError(f"{where}: [image] and [audio] both state what is stored, and a dataset holds one kind")
    _check_varied(recipe, where)
    check_samples(recipe.samples, where)
    _check_samples(recipe, where)
    check_strata(recipe.strata, where)
    check_balance(recipe.balance, where)
    if recipe.balance.by == "label" and not recipe.question:
        raise RecipeError(f"{where}: balance.by = \"label\", but the recipe asks no question")
    if recipe.balance.by == "cells" and not recipe.strata.by:
        raise RecipeError(f"{where}: balance.by = \"cells\", but there are none: strata.by says by what")
    if "label" in recipe.strata.by and not recipe.question:
        raise RecipeError(f"{where}: strata.by has `label`, but the recipe asks no question")
    check_split(recipe.split, where)
    check_duplicates(recipe.duplicates, where)


def _check_samples(recipe: Recipe, where: str) -> None:
    of = recipe.samples.of
    if of == "entities":
        return
    if recipe.select.hard != Hard():
        raise RecipeError(f"{where}: select.hard compares labels of whole entities, and samples are {of}; leave it out")
    if recipe.duplicates.action == "drop":
        raise RecipeError(
            f"{where}: duplicates.action = \"drop\" leaves out whole entities, and samples are {of}; \"group\" keeps "
            "what is alike in one split"
        )
    if of == "windows" and recipe.balance.repeats:
        raise RecipeError(
            f"{where}: balance.mode = \"repeat\" repeats rows, and rows of a window stand together; use \"weights\""
        )
    if of == "regions":
        _check_regions(recipe, where)
    elif of == "clips":
        if recipe.image != Images():
            raise RecipeError(f"{where}: [image] is about pictures, and samples are clips: samples.size says how large")
    elif recipe.samples.series not in recipe.split.keys:
        raise RecipeError(
            f"{where}: samples.series = {recipe.samples.series!r} is not in split.group, so that a window could reach "
            "from one split into another; add it there"
        )
    elif recipe.samples.window_label == "all" and (
        recipe.label.only or recipe.label.exclude or recipe.balance.by == "label" or "label" in recipe.strata.by
    ):
        raise RecipeError(
            f"{where}: samples.window_label = \"all\" gives a window no label of its own that label.only, "
            "label.exclude, balance.by or strata.by could go by"
        )


def _check_varied(recipe: Recipe, where: str) -> None:
    if recipe.variants.copies and recipe.samples.of in ("windows", "clips"):
        of = recipe.samples.of
        raise RecipeError(f"{where}: variants are of single pictures, and samples are {of}; leave it out")
    if recipe.variants.copies and recipe.image.pixels != "rgb":
        raise RecipeError(f"{where}: image.pixels = {recipe.image.pixels!r}: variants are RGB of 8 bits; leave it out")


def _check_regions(recipe: Recipe, where: str) -> None:
    if not recipe.question:
        raise RecipeError(f"{where}: samples.of = \"regions\", but the recipe asks no question: whose regions?")
    if recipe.label.task:
        raise RecipeError(f"{where}: label.task: samples.of = \"regions\" takes regions of every shape; leave it out")
    if recipe.image.pixels != "rgb":
        raise RecipeError(f"{where}: image.pixels = {recipe.image.pixels!r}: crops are RGB of 8 bits; leave it out")


def _check_label(label: Label, where: str) -> None:
    if label.policy not in policies():
        raise RecipeError(f"{where}: label.policy = {label.policy!r}{nearest(label.policy, policies())}")
    check_choices(label, "label", where)
    if label.believe and (label.actors or label.kinds is not None):
        raise RecipeError(f"{where}: label.believe says who is heard; leave label.kinds and label.actors out")
    if not (label.asked or label.actors):
        raise RecipeError(f"{where}: label.kinds is empty and label.actors too: nobody would be asked")
    if label.level < 0:
        raise RecipeError(f"{where}: label.level = {label.level}; the top of a hierarchy is 1")
    both = sorted(set(label.only) & set(label.exclude))
    if both:
        raise RecipeError(f"{where}: label.only and label.exclude both have {both[0]!r}")
    if label.quorum < 1 or not 0 <= label.min_share <= 1:
        raise RecipeError(f"{where}: label.quorum must be at least 1 and label.min_share within 0..1")
