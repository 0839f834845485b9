"""Simulated annotators: who answers what about a digit, a pure function of image and seed.

Nobody labelled these digits again for us, so the disagreement is made, in the open: every annotator sees the data
set's own label and gets a stated share of the images wrong, with a digit that looks alike. Chance comes from
`schemas.canonical.bucket`, so the same answers come out on every machine and with every version of numpy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from schemas.canonical import BUCKET_BITS, bucket

SEED = 2024

LOOKALIKES = {
    0: (6, 8), 1: (7, 4), 2: (7, 3), 3: (8, 5), 4: (9, 1),
    5: (3, 6), 6: (5, 8), 7: (1, 2), 8: (3, 9), 9: (4, 5),
}
"""Digit -> what it is taken for, the likelier one first."""

ABSTAIN = "?"

FIRST_DAY = datetime(2024, 5, 6, 8, 0, tzinfo=UTC)
SECOND_LOOK = datetime(2024, 5, 13, 8, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Annotator:
    """One simulated person.

    Attributes:
        name: Name; the actor is `human:<name>`.
        coverage: Share of the images that are answered at all.
        errors: Share of the answers that are wrong.
        abstains: Share of the images declined.
        seconds: Time from one answer to the next, s.
    """

    name: str
    coverage: float
    errors: float
    abstains: float
    seconds: int


PEOPLE = (
    Annotator("ann", coverage=1.0, errors=0.01, abstains=0.01, seconds=7),
    Annotator("bob", coverage=1.0, errors=0.04, abstains=0.03, seconds=4),
    Annotator("cem", coverage=0.9, errors=0.02, abstains=0.02, seconds=9),
)

APPRENTICE = Annotator("dora", coverage=0.5, errors=0.2, abstains=0.0, seconds=3)

CROWD_EVERY = 3
"""The anonymous crowd sees every third image ..."""
CROWD_VOTES = 5
"""... and gives it five votes ..."""
CROWD_ERRORS = 0.08
"""... of which this share is wrong."""

SECOND_LOOK_SHARE = 0.25
"""Share of bob's answers that he gave again a week later, right this time: the later answer counts."""


@dataclass(frozen=True, slots=True)
class Said:
    """One answer: a digit as text, or `?`."""

    annotator: str
    answer: str
    said_at: datetime
    confidence: float


def answer_of(person: Annotator, index: int, truth: int) -> Said | None:
    """Return what a person says of image `index`; None where they were not asked."""
    if chance(person.name, "asked", index) >= person.coverage:
        return None
    said_at = FIRST_DAY + timedelta(seconds=person.seconds * index)
    if chance(person.name, "abstains", index) < person.abstains:
        return Said(person.name, ABSTAIN, said_at, 0.0)
    answer = _seen_as(truth, person.errors, person.name, index)
    doubt = chance(person.name, "doubt", index)
    confidence = round(0.99 - 0.3 * doubt if answer == truth else 0.9 - 0.5 * doubt, 2)
    return Said(person.name, str(answer), said_at, confidence)


def answers_of_people(index: int, truth: int) -> Iterator[Said]:
    """Return the answers of all careful annotators about image `index`, bob's second look included."""
    for person in PEOPLE:
        said = answer_of(person, index, truth)
        if said is None:
            continue
        yield said
        if person.name == "bob" and chance("bob", "again", index) < SECOND_LOOK_SHARE:
            yield Said("bob", str(truth), SECOND_LOOK + timedelta(seconds=5 * index), 0.99)


def votes_of_crowd(index: int, truth: int) -> dict[str, int]:
    """Return label -> votes of the anonymous crowd; empty where it was not asked."""
    if index % CROWD_EVERY:
        return {}
    votes = (str(_seen_as(truth, CROWD_ERRORS, f"crowd{voter}", index)) for voter in range(CROWD_VOTES))
    return dict(sorted(Counter(votes).items()))


def chance(*what: object) -> float:
    """Return a number in [0, 1) that depends on `what` and the seed only."""
    return bucket("/".join(map(str, what)), SEED) / (1 << BUCKET_BITS)


def _seen_as(truth: int, errors: float, who: str, index: int) -> int:
    if chance(who, "errs", index) >= errors:
        return truth
    likely, rare = LOOKALIKES[truth]
    return likely if chance(who, "takes it for", index) < 0.75 else rare
