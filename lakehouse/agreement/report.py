"""What is known of the agreement about one question: one record, for JSON, the terminal and the page."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lakehouse.agreement.measures.doubtful import Doubt
from lakehouse.agreement.measures.pairs import Pair
from lakehouse.agreement.shown import MOST_SHOWN


@dataclass(frozen=True, slots=True)
class ActorFacts:
    """One actor.

    Attributes:
        actor: Its id.
        kind: Its kind.
        answers: Answers that hold, abstentions aside; votes of a pool count.
        abstained: Abstentions.
        compared: Answers about subjects that the reference is about.
        accuracy: Share of these that say the same; of regions F1 at an overlap of 0.5; None: nothing to compare.
        unanimous: Share of its answers about subjects with other answers on which all say what it says.
        seconds: Median seconds for an answer: stated ones (`ext.lead_time`), else between two answers in a row at most
            ten minutes apart; None: no times.
        seconds_from: stated, gaps or "".
        cost: Sum of `ext.cost`; None: not stated.
        drift: (first day of the window, answers compared, accuracy) by window of time.
        confusion: (label of the reference, label said, how often), most often first; what differs only.
    """

    actor: str
    kind: str
    answers: int
    abstained: int = 0
    compared: int = 0
    accuracy: float | None = None
    unanimous: float | None = None
    seconds: float | None = None
    seconds_from: str = ""
    cost: float | None = None
    drift: Sequence[tuple[str, int, float]] = ()
    confusion: Sequence[tuple[str, str, int]] = ()


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement about one question.

    Attributes:
        question: Its id.
        level: nominal, ordinal, interval or ratio.
        reference: What actors are compared with: an actor, or `majority` (of the others where there are several).
        subjects: Subjects with an answer.
        answers: Answers, votes counted.
        unanimous: Share of the subjects with two or more answers on which all are the same; None: there are none.
        alpha: Krippendorff's; None where not defined.
        fleiss: Fleiss' kappa; None where not defined.
        fleiss_reason: Why it is not.
        mean_iou: Of regions, mean overlap (of keypoints OKS) of matched ones over all pairs of annotators.
        f1: Of regions, F1 at an overlap of 0.5 over all pairs of annotators.
        boundary_error: Of spans and intervals, mean distance of an end of a matched one, in characters or seconds.
        unitizing: Of spans and intervals, Krippendorff's alpha for unitizing; None where not defined.
        labels: Label -> votes.
        pairs: Pairs of actors.
        actors: By name.
        doubts: Candidates for wrong labels, by rule and score.
        doubts_left_out: Rule -> how many more there are.
        notes: What a person should know of the figures.
    """

    question: str
    level: str
    reference: str
    subjects: int
    answers: int
    unanimous: float | None = None
    alpha: float | None = None
    fleiss: float | None = None
    fleiss_reason: str = ""
    mean_iou: float | None = None
    f1: float | None = None
    boundary_error: float | None = None
    unitizing: float | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    pairs: Sequence[Pair] = ()
    actors: Sequence[ActorFacts] = ()
    doubts: Sequence[Doubt] = ()
    doubts_left_out: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def with_doubts(self, doubts: Sequence[Doubt], notes: Sequence[str]) -> Agreement:
        """Return the same with more candidates and notes."""
        left = Counter(dict(self.doubts_left_out))
        left.update(each.rule for each in doubts[MOST_SHOWN:])
        return dataclasses.replace(
            self, doubts=[*self.doubts, *doubts[:MOST_SHOWN]], doubts_left_out=dict(left), notes=[*self.notes, *notes]
        )

    def record(self) -> dict[str, object]:
        """Return all of it as plain values."""
        return dataclasses.asdict(self)
