"""What a method hands back: what was decided about each subject, or why nothing was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from lakehouse.consensus.reading import Asked
from lakehouse.lake import Lake


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one subject.

    Attributes:
        subject: Id of the entity.
        fields: Fields of the opinion, as `record_opinions` takes them: the value, probs, confidence, ext; None where
            nothing was decided.
        reason: Why nothing was decided: quorum, tie, margin ...; "" where something was.
        answers: Votes (of regions: annotators) that were heard.
        told: What was said, for the person who decides: `cat 2, dog 2`.
    """

    subject: str
    fields: Mapping[str, Any] | None
    reason: str = ""
    answers: float = 0.0
    told: str = ""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a method is given.

    Attributes:
        asked: The question.
        rows: Asserted answers that are heard; columns of `lakehouse.consensus.reading.HELD`.
        lake: The lake, whose engine computes what is too large for arrays.
    """

    asked: Asked
    rows: pa.Table
    lake: Lake


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a method came to.

    Attributes:
        decisions: One for each subject with an answer.
        details: Facts for the receipt, as rounds done.
        notes: Rule -> what a person should know of it.
    """

    decisions: Iterable[Decision]
    details: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


def support(matched: float, answered: float) -> dict[str, str]:
    """Return the support of a decision as entries of `ext`: how many agree, of how many who answered."""
    return {"support": f"{matched:g}", "answered": f"{answered:g}"}
