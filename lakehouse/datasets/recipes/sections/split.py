"""[split]: who goes where."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lakehouse.datasets.placing.split_names import SPLIT, SPLIT_HELP, slip
from lakehouse.datasets.recipes.canonical import CODEC, INSTANTS, ONE_OR_MANY, ORDERED
from lakehouse.datasets.recipes.sections.choice import CHOICES, check_choices
from lakehouse.datasets.recipes.sections.strata import COLUMN
from lakehouse.errors import RecipeError

ON_JOIN = ("fail", "keep")
ON_CONFLICT = ("fail", "exclude")
RATIO_TOLERANCE = 1e-9
MOST_FOLDS = 100
OFFICIAL = {"column": COLUMN, "folder": re.compile(r"[0-9]{1,3}"), "key": re.compile(r".+")}


@dataclass(frozen=True, slots=True)
class Split:
    """Who goes where.

    Attributes:
        ratios: Split -> share; shares add up to 1. The order given is the order of the hash ranges.
        group: Name of a group key whose values stay together, or a list of several: entities that share a value of
            any of them are in one group, and so are those that a chain of them joins. An entity without one is on its
            own; a key that no entity has is an error. "" for every entity on its own. A group's place is that of its
            oldest entity, so that nothing that comes later moves it.
        official: Where the split stands in the data, in place of ratios: `column:NAME` (of the selection, else of
            `entities_wide`), `folder:LEVEL` (of the path inside the drop, the first is 0) or `key:NAME` (a group
            key). Nothing stated leaves an entity out with reason no_split.
        names: Value that stands there -> split, where they differ: `{ valid = "val" }`; "" for a value that is no
            split.
        fixed: Split -> a dataset version, as NAME, NAME@TAG or NAME@ID: whoever is in it is in that split here,
            whatever the ratios say, and so is all of its leak group. A NAME alone follows the version built last.
        time: Column of times, of the selection or else of `entities_wide`, by which the splits follow one another: the
            first of `ratios` is the earliest. A leak group is as late as the latest of its selected members. What has
            no time is left out with reason no_time.
        edges: With `time`: where one split ends and the next begins, one fewer than there are names in `ratios`, whose
            shares then say nothing; a time that equals an edge belongs to the later. Without edges the shares say
            how many entities come first; equal times are never cut, and what is added later moves the cuts.
        folds: So many splits of equal shares in place of `ratios`: fold0, fold1 ...; 0 for none. Train on all but one
            and validate on that one.
        on_join: Where two groups that both existed turn out to be one, old members of the younger one change their
            split. `fail` stops the build and names them, `keep` builds and notes them (`moved`).
        on_conflict: Where an entity, or a leak group, is in two official or two fixed splits: `fail` stops the build
            and names them, `exclude` leaves them out with reason several_splits.
    """

    ratios: Mapping[str, float] = field(
        default_factory=lambda: {"train": 0.8, "val": 0.1, "test": 0.1}, metadata={CODEC: ORDERED}
    )
    group: str | tuple[str, ...] = field(default="", metadata={CODEC: ONE_OR_MANY})
    official: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    time: str = ""
    edges: tuple[datetime, ...] = field(default=(), metadata={CODEC: INSTANTS})
    folds: int = 0
    on_join: str = field(default="fail", metadata={CHOICES: ON_JOIN})
    on_conflict: str = field(default="fail", metadata={CHOICES: ON_CONFLICT})


    @property
    def keys(self) -> tuple[str, ...]:
        """The group keys, sorted."""
        found = (self.group,) if isinstance(self.group, str) else self.group
        return tuple(sorted(each for each in found if each))

    @property
    def shares(self) -> Mapping[str, float]:
        """Split -> share of what is not official and not fixed, in the order of the hash ranges or of time."""
        return {f"fold{number}": 1 / self.folds for number in range(self.folds)} if self.folds else self.ratios


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


def check_split(split: Split, where: str) -> None:
    """Refuse splits that cannot be.

    Raises:
        RecipeError: If a value is none of those that a key takes, shares are out of range or do not add up to 1, or
            keys do not belong together.
    """
    _check_official(split, where)
    _check_groups(split, where)
    _check_fixed(split, where)
    _check_time(split, where)
    if not 0 <= split.folds <= MOST_FOLDS or split.folds == 1:
        raise RecipeError(f"{where}: split.folds = {split.folds}; give 2 to {MOST_FOLDS}, or 0 for none")
    check_choices(split, "split", where)
    ratios = split.ratios
    for name in ratios:
        # It becomes the name of a folder.
        if not SPLIT.fullmatch(name):
            raise RecipeError(f"{where}: split.ratios has {name!r}; {SPLIT_HELP}")
    if not ratios or any(not 0 <= share <= 1 for share in ratios.values()):
        raise RecipeError(f"{where}: split.ratios must be shares within 0..1, found {dict(ratios)}")
    if not math.isclose(sum(ratios.values()), 1, abs_tol=RATIO_TOLERANCE):
        raise RecipeError(f"{where}: split.ratios add up to {sum(ratios.values()):g}, expected 1")


def _check_official(split: Split, where: str) -> None:
    if not split.official:
        if split.names:
            raise RecipeError(f"{where}: split.names belongs to split.official; add it")
        if split.on_conflict != "fail" and not split.fixed:
            raise RecipeError(f"{where}: split.on_conflict belongs to split.official and split.fixed; add one")
        return
    others = [key for key in ("fixed", "time", "folds") if getattr(split, key)]
    if others:
        raise RecipeError(f"{where}: split.official takes the splits from the data; leave split.{others[0]} out")
    try:
        official_place(split.official)
    except ValueError as error:
        raise RecipeError(f"{where}: split.official = {error}") from error
    for value, name in split.names.items():
        if name and not SPLIT.fullmatch(name):
            raise RecipeError(f"{where}: split.names has {value!r} = {name!r}; {SPLIT_HELP}")


def _check_groups(split: Split, where: str) -> None:
    stated = () if isinstance(split.group, str) else split.group
    if "" in stated or len(set(stated)) < len(stated):
        raise RecipeError(f"{where}: split.group = {list(stated)}: name each group key once")


def _check_fixed(split: Split, where: str) -> None:
    for name, version in split.fixed.items():
        if not SPLIT.fullmatch(name):
            raise RecipeError(f"{where}: split.fixed has {name!r}; {SPLIT_HELP}")
        if not version:
            raise RecipeError(f"{where}: split.fixed.{name} names no dataset version; use NAME, NAME@TAG or NAME@ID")


def _check_time(split: Split, where: str) -> None:
    if not split.time:
        if split.edges:
            raise RecipeError(f"{where}: split.edges belongs to split.time; add time = \"captured_at\", or another")
        return
    if not COLUMN.fullmatch(split.time):
        raise RecipeError(f"{where}: split.time = {split.time!r} is not the name of a column")
    if split.folds:
        raise RecipeError(f"{where}: split.folds are chosen by hash; leave it or split.time out")
    if split.edges and len(split.edges) != len(split.ratios) - 1:
        raise RecipeError(
            f"{where}: split.edges has {len(split.edges)} times for {len(split.ratios)} splits "
            f"({', '.join(split.ratios)}); {len(split.ratios) - 1} stand between them"
        )
    if any(one >= other for one, other in itertools.pairwise(split.edges)):
        raise RecipeError(f"{where}: split.edges must rise, found {', '.join(map(str, split.edges))}")


def check_slips(split: Split, where: str) -> None:
    """Refuse names of splits that are one slip from a usual one: a misspelt split would be built and never read."""
    given = [("split.names", name) for name in split.names.values() if name]
    if not split.official:
        given = [("split.ratios", name) for name in split.ratios] + [("split.fixed", name) for name in split.fixed]
    for key, name in given:
        meant = slip(name, [each for _, each in given])
        if meant is not None:
            raise RecipeError(f"{where}: {key} has a split {name!r}; did you mean `{meant}`?")
