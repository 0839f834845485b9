"""[select]: which entities are considered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lakehouse.datasets.recipes.canonical import CODEC, INSTANT, PARAMETERS
from lakehouse.datasets.recipes.sections.choice import CHOICES, check_choices
from lakehouse.datasets.recipes.sections.conditions import CONDITIONS, check_conditions
from lakehouse.errors import RecipeError

CLOCKS = ("event", "ingest")
ALL = "select entity_id from entities"


@dataclass(frozen=True, slots=True)
class Time:
    """When what is selected was recorded, or came.

    Attributes:
        by: `event`: when it was recorded (`captured_at`); `ingest`: when the lake first held it (`created_at`). What
            has no such time is not selected.
        since: The first instant that counts; None: all before `until`.
        until: The first instant that does not; None: all from `since` on.
    """

    by: str = field(default="event", metadata={CHOICES: CLOCKS})
    since: datetime | None = field(default=None, metadata={CODEC: INSTANT})
    until: datetime | None = field(default=None, metadata={CODEC: INSTANT})


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Votes that differ.

    Attributes:
        min: Share of the votes, at least, that are against the label; above 0, at most 1. 0: not stated.
    """

    min: float = 0.0


@dataclass(frozen=True, slots=True)
class Confidence:
    """A model that is not sure.

    Attributes:
        actor: The model, as `model:resnet@3`.
        below: Its own confidence, as it stated it, is below this; above 0, at most 1. 0: not stated. Where it stated
            none, or said nothing, this rule does not hold.
    """

    actor: str = ""
    below: float = 0.0


@dataclass(frozen=True, slots=True)
class Hard:
    """Hard cases alone: members for which any rule that is stated holds; others are left out with reason not_hard.

    Attributes:
        disagreement: Votes that differ.
        confidence: A model that is not sure.
        model_against_people: A model whose label is another than that of the policy; silent ones are not against it.
    """

    disagreement: Disagreement = field(default_factory=Disagreement)
    confidence: Confidence = field(default_factory=Confidence)
    model_against_people: str = ""


@dataclass(frozen=True, slots=True)
class Select:
    """Which entities are considered: those that pass all that is stated here.

    Attributes:
        sql: One SELECT in DuckDB's dialect that returns `entity_id`. Its other columns become fields of the samples.
        params: Values for `$name` in it.
        where: Column of `entities_wide` -> a value, a list of those that pass, or a table of conditions that hold
            together: `min`, `max` (within), `above`, `below` (beyond), `in`, `not`, `starts_with`, `null`. What has no
            value passes `null = true` alone, which is beside other conditions `or no value`.
        time: When it was recorded, or came.
        newest: Share of what is left that is considered, the newest by the clock of `time`, of one instant the last by
            id, rounded up to whole entities. What has no such time is not selected. 1: all.
        hard: Which of these are hard: what people or a model were not sure of.
    """

    sql: str = ALL
    params: Mapping[str, object] = field(default_factory=dict, metadata={CODEC: PARAMETERS})
    where: Mapping[str, object | Mapping[str, object]] = field(default_factory=dict, metadata={CODEC: CONDITIONS})
    time: Time = field(default_factory=Time)
    newest: float = 1.0
    hard: Hard = field(default_factory=Hard)

    @property
    def clock(self) -> str:
        """Column of silver.entities that `time` and `newest` go by; "" if neither is stated."""
        if self.time == Time() and self.newest == 1:
            return ""
        return "captured_at" if self.time.by == "event" else "created_at"


def check_select(select: Select, where: str) -> None:
    """Refuse a selection that cannot be.

    Raises:
        RecipeError: If a condition is none, a time range is empty, or `newest` or a limit of `hard` is no share.
    """
    check_conditions(select.where, f"{where}: select.where")
    time = select.time
    check_choices(time, "select.time", where)
    if time.since is not None and time.until is not None and time.since >= time.until:
        raise RecipeError(
            f"{where}: select.time: nothing is from {time.since.isoformat()} on and before {time.until.isoformat()}"
        )
    hard = select.hard
    for key, share in (("disagreement.min", hard.disagreement.min), ("confidence.below", hard.confidence.below)):
        if not 0 <= share <= 1:
            raise RecipeError(f"{where}: select.hard.{key} = {share}; it is a share above 0, at most 1")
    if bool(hard.confidence.actor) != bool(hard.confidence.below):
        raise RecipeError(f"{where}: select.hard.confidence needs both: {{ actor = \"model:...\", below = 0.6 }}")
    if not 0 < select.newest <= 1:
        raise RecipeError(f"{where}: select.newest = {select.newest}; it is a share above 0, at most 1")
