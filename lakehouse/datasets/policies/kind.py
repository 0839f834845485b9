"""What a kind of answer is: how its answers are heard, become one per entity, and are counted."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakehouse.datasets.policies.settings import Label
from lakehouse.errors import ConfigError
from loaders.format.fields import Field
from schemas.opinions import VALUE_COLUMNS

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")

ANSWERS = "answers:"
"""What the name of a dataset's contract on a kind of answer begins with."""


CONSTRAINTS = "asked.constraints"
"""Among the digests of a dataset: what its question says that decides what its answers are, as canonical JSON."""


class Reason(NamedTuple):
    """Why an entity that was considered is left out.

    Attributes:
        name: As it stands in gold.dataset_exclusions.
        when: SQL over the aliases of `lakehouse.datasets.plan.CONSIDERED`; `{stratum}` stands for the cell,
            `{official}` and `{several}` for what is stated about the split.
        detail: SQL over the columns of `CONSIDERED`: the numbers behind it, for a person.
    """

    name: str
    when: str
    detail: str


class Decision(NamedTuple):
    """What the answers about one entity come to.

    Attributes:
        answer: The answer as JSON has it; None: left out.
        reason: Why it is left out: snake_case, as it stands in gold.dataset_exclusions.
        detail: The numbers behind it, for a person.
        cell: What strata by `label` count it under; None: the `cell` of the row.
    """

    answer: object = None
    reason: str = ""
    detail: str = ""
    cell: str | None = None


class Asked(NamedTuple):
    """What a recipe and its question say about the answers, beside what kind they are of.

    Attributes:
        settings: The recipe's `[label]`.
        constraints: What `constraints_json` of the question says, as far as the kind's `constraints` name it.
    """

    settings: Label
    constraints: Mapping[str, Any]


class Scored(NamedTuple):
    """A member and what an actor answered about it.

    Attributes:
        entity_id: The member.
        truth: Its answer in the dataset, as `Decision.answer`.
        answer: The actor's, as `read` gives it; None: no answer.
    """

    entity_id: str
    truth: Any
    answer: Any


class Score(NamedTuple):
    """One number that answers come to.

    Attributes:
        metric: Name, as gates use it.
        label: Class that it is about; None: all.
        value: None where it is not defined.
        support: How many answers, or parts of answers, it rests on.
    """

    metric: str
    label: str | None
    value: float | None
    support: int


class Measure(NamedTuple):
    """A number that an evaluation of such answers has, as gates name it.

    Attributes:
        name: As `Score.metric`.
        scope: `all`: over all members, and by every slice; `class`: by class; `classes`: a mean over all classes.
        is_share: Whether it is within 0..1, so that a limit outside decides nothing.
        mean: Of one by class: the number over all that is its mean.
    """

    name: str
    scope: str = "all"
    is_share: bool = True
    mean: str = ""


SCOPES = ("all", "class", "classes")

COVERAGE = Measure("coverage")
"""Share of members with an answer: every kind has it."""

BY_CLASS = (
    *(Measure(name, "class", mean=f"macro_{name}") for name in ("precision", "recall", "f1")),
    *(Measure(f"macro_{name}", "classes") for name in ("precision", "recall", "f1")),
)

NO_ANSWER = Reason("no_answer", "t.all_votes is null", "'nobody that the policy listens to answered'")


def _nothing(_settings: Label) -> Mapping[str, object]:
    return {}


def _no_samples(_members: pa.Table, _classes: Sequence[str]) -> tuple[()]:
    return ()


def votes_settings_refused(settings: Label) -> str | None:
    """Return what is wrong with settings for answers that nobody votes on; None if nothing is."""
    usual = Label()
    for name in ("quorum", "min_share", "ties"):
        if getattr(settings, name) != getattr(usual, name):
            return f"label.{name} is for answers that are votes for a label; leave it out"
    return None


def _as_it_is(kind: AnswerKind, _asked: Asked) -> AnswerKind:
    return kind


@dataclass(frozen=True, slots=True)
class AnswerKind:
    """One kind of answer that datasets can be made of.

    Attributes:
        value_kind: As questions and opinions name it; see `schemas.opinions.VALUE_COLUMNS`.
        policies: What `label.policy` of a recipe may be for it.
        version: Counted from 1. Raise it when the same opinions would give other answers: it is part of the version
            id of every dataset of this kind. 0 for labels alone, whose contract is `BUILD_CONTRACT`.
        hears: Columns of silver.opinions that `tally` reads, beside opinion_id, actor_id, subject_id and
            question_version.
        tally: SQL over `heard` (current opinions of those whom the policy asks, with these columns) and the parameters
            of `params`: one row per entity, with `entity_id`, `all_votes` (bigint: how many answered), optionally
            `cell` (text that strata by `label` count it under), and what `decide` reads.
        decide: From a row of `tally` to the answer, or why there is none. Pure and module-level: it runs in workers.
            None: `tally` gives label, label_share, label_votes, answer_json, cell, problem and detail itself.
        params: Parameters of `tally` and of `reasons`.
        reasons: Why entities are left out, beside what `decide` says.
        because: Why a member is in, for a person, from the settings and the question.
        refuse: What of the settings this kind has no meaning for; None if nothing.
        classes: SQL over `heard` giving (label, version): every label that is said, with the highest version of the
            question that said it. None: its answers have no labels.
        has_cell: Whether strata can be by `label`.
        samples: From the members of a version (as `lakehouse.datasets.versions.find.read_members` gives them) and its
            classes to the columns that their samples have.
        sample_names: Names of all columns that it may give, beyond those that no selection may have anyway.
        read: From the value of one opinion (its column of `schemas.opinions.VALUE_COLUMNS`) to an answer as `score`
            compares it; None gives the value itself.
        read_probs: As `read`, from the value and the probabilities that stand beside it (label -> 0..1, None: none).
        score: From members and an actor's answers about them to numbers; pure. None: such answers are not scored, but
            for labels, which `lakehouse.evaluation.labels` counts in SQL, and kinds that `weigh`.
        measures: The numbers of an evaluation that gates can be on, beside coverage.
        task: Its name, as `label.task` of a recipe has it; "" is `value_kind`. Several kinds may be of one value_kind:
            boxes and masks are both regions.
        contract: Name of its version among the contracts of a dataset; "" is its name. It never changes.
        shapes: Of kinds of regions: `geometry_kinds` of a question whose answers are of this kind where the recipe
            states no task.
        constraints: Keys of the question's `constraints_json` that decide what its answers are: they enter the
            version id of a dataset.
        bind: Gives the kind as recipe and question want it, with functions that know what was `Asked`.
        asked: What the question says by these keys; `bound` states it.
        one_label: Whether a member has one label and nothing else, so that it can be filtered and balanced by it.
        weigh: As `score`, in two steps, and in its place: from members to a function of how often each counts, int64
            (members,). What takes time is done once, not for each resample of a bootstrap.
    """

    value_kind: str
    policies: tuple[str, ...]
    version: int
    hears: tuple[str, ...]
    tally: str
    decide: Callable[[Mapping[str, Any], Label], Decision] | None
    because: Callable[[Label, str], str]
    params: Callable[[Label], Mapping[str, object]] = _nothing
    reasons: tuple[Reason, ...] = (NO_ANSWER,)
    refuse: Callable[[Label], str | None] = votes_settings_refused
    classes: str | None = None
    has_cell: bool = False
    samples: Callable[[pa.Table, Sequence[str]], Iterable[tuple[Field, pa.Array]]] = _no_samples
    sample_names: tuple[str, ...] = ()
    read: Callable[[Any], Any] | None = None
    read_probs: Callable[[Any, Mapping[str, float] | None], Any] | None = None
    score: Callable[[Sequence[Scored]], Iterable[Score]] | None = None
    measures: tuple[Measure, ...] = ()
    task: str = ""
    contract: str = ""
    shapes: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    bind: Callable[[AnswerKind, Asked], AnswerKind] = _as_it_is
    asked: Mapping[str, Any] = field(default_factory=dict)
    one_label: bool = False
    weigh: Callable[[Sequence[Scored]], Callable[[npt.NDArray[np.int64]], Iterable[Score]]] | None = None

    @property
    def name(self) -> str:
        """Its task."""
        return self.task or self.value_kind

    @property
    def contract_name(self) -> str:
        """What its version is called among the contracts of a dataset."""
        return self.contract or self.name

    def bound(self, asked: Asked) -> AnswerKind:
        """Return the kind as recipe and question want it."""
        return replace(self.bind(self, asked), asked=asked.constraints)

    def __post_init__(self) -> None:
        if self.value_kind not in VALUE_COLUMNS:
            raise ConfigError(f"kind of answer {self.value_kind!r}: opinions have {', '.join(VALUE_COLUMNS)}")
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"kind of answer {self.name!r}: its task is a name of a-z, 0-9 and _")
        if not self.policies or not all(map(_NAME.fullmatch, self.policies)):
            raise ConfigError(
                f"kind of answer {self.name}: policies are names of a-z, 0-9 and _, found {self.policies}"
            )
        for each in self.measures:
            if each.scope not in SCOPES or (each.scope == "class") != bool(each.mean):
                raise ConfigError(
                    f"kind of answer {self.name}: measure {each.name}: expected a scope of {', '.join(SCOPES)}, "
                    f"and a mean where it is by class; found {each.scope!r}, {each.mean!r}"
                )
        if self.version < 0:
            raise ConfigError(f"kind of answer {self.name}: versions count from 1, found {self.version}")


def because_of(what: str) -> Callable[[Label, str], str]:
    """Return a kind's `because` that tells the policy alone: `single boxes of `cells``."""
    return functools.partial(_because, what=what)


def _because(settings: Label, question: str, *, what: str) -> str:
    return f"{settings.policy} {what} of `{question}`"


def in_form_asked(
    samples: Callable[..., Iterable[tuple[Field, pa.Array]]],
) -> Callable[[AnswerKind, Asked], AnswerKind]:
    """Return a `bind` that gives `samples` the recipe's form of boxes as its argument `form`."""
    return functools.partial(_in_form_asked, samples=samples)


def _in_form_asked(
    kind: AnswerKind, asked: Asked, *, samples: Callable[..., Iterable[tuple[Field, pa.Array]]]
) -> AnswerKind:
    return replace(kind, samples=functools.partial(samples, form=asked.settings.box_format))
