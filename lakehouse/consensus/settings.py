"""What a consensus is told, and the actor that it is recorded as."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from lakehouse.consensus.methods.words import MATCHINGS, TIES
from lakehouse.errors import ConfigError
from lakehouse.names import nearest
from lakehouse.opinions.actors import Actor
from schemas.canonical import canonical_json, content_id
from schemas.opinions import ACTOR_KINDS

VERSION = 1
"""Raised when a method gives other results for the same answers and settings."""

PEOPLE = ("human", "import", "pool")
WHO = ("kinds", "actors", "experts", "quorum")
"""What every method takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a consensus is made. A method takes some of them; to state another one is an error.

    Attributes:
        method: Name in `lakehouse.consensus.registry`.
        kinds: Kinds of actors that are heard; (): people (human, pool, import), of weak-supervision rules. A consensus
            is heard only where `consensus` is named.
        actors: These alone are heard, whatever their kind; (): all of the kinds.
        experts: Actors whose answer holds whatever others say, the first one before the next.
        quorum: Votes (of regions: annotators who found it) that an answer needs.
        ties: Of equally good labels `lowest` or `highest` in the order of the label set, `shared` (the lowest, `probs`
            and `ext.tied` name the others), or `abstain`: undecided.
        margin: Lead over the second label that the best one needs, as a share, 0 to 1.
        rounds: Rounds of EM at most.
        tolerance: Change of a probability below which EM has converged.
        smoothing: Votes added to every cell of an actor's confusion, above 0.
        form: `auto`, `numpy` or `sql`: where Dawid-Skene computes; results are equal to 1e-6.
        trim: Share of numbers that a trimmed mean leaves out at each end, below 0.5.
        period: Angle of a whole turn, in the unit of the numbers: 360 degrees.
        threshold: Share of those who answered that a label of several, a character or an instant needs more of; of
            those who found an object, that a pixel, a keypoint or a frame of its track needs more of.
        min_iou: Overlap (of keypoints similarity, OKS) from which two shapes are of one object.
        matching: `greedy` (best pair first) or `hungarian` (best sum, annotator after annotator).
    """

    method: str
    kinds: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    experts: tuple[str, ...] = ()
    quorum: int = 1
    ties: str = "abstain"
    margin: float = 0.0
    rounds: int = 100
    tolerance: float = 1e-5
    smoothing: float = 0.01
    form: str = "auto"
    trim: float = 0.1
    period: float = 360.0
    threshold: float = 0.5
    min_iou: float = 0.5
    matching: str = "greedy"

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in ACTOR_KINDS:
                raise ConfigError(f"consensus: kinds: {kind!r} is no kind of actor{nearest(kind, ACTOR_KINDS)}")
        _one_of("ties", self.ties, TIES)
        _one_of("matching", self.matching, MATCHINGS)
        _one_of("form", self.form, ("auto", "numpy", "sql"))
        _within("quorum", self.quorum, 1, float("inf"))
        _within("margin", self.margin, 0, 1)
        _within("rounds", self.rounds, 1, 100_000)
        _within("tolerance", self.tolerance, 0, 1)
        _within("smoothing", self.smoothing, 1e-12, 1e6)
        _within("trim", self.trim, 0, 0.499999)
        _within("period", self.period, 1e-9, 1e9)
        _within("threshold", self.threshold, 0, 1)
        _within("min_iou", self.min_iou, 1e-9, 1)

    def check_taken(self, taken: tuple[str, ...]) -> None:
        """Refuse settings that the method does not take.

        Raises:
            ConfigError: The message names what it takes.
        """
        for name, value in self.changed().items():
            if name not in (*WHO, *taken):
                known = ", ".join((*WHO, *taken))
                raise ConfigError(f"consensus {self.method}: takes no {name} (stated: {value!r}); it takes {known}")

    def changed(self) -> dict[str, object]:
        """Return what is stated otherwise than by default, by name; without the method."""
        return {
            each.name: getattr(self, each.name)
            for each in dataclasses.fields(self)
            if each.name != "method" and getattr(self, each.name) != each.default
        }

    def actor(self, times: Mapping[str, str]) -> Actor:
        """Return who says it: `consensus:<method>@<version>`, and `...@<version>-<hash>` with other settings than the
        default ones, or as of a time: what differs is another actor, and one does not take the other's place.

        Args:
            times: known_at and valid_at, where they are stated.
        """
        # Where it computes changes nothing of what it says.
        params = {**self.changed(), **times}
        params.pop("form", None)
        version = f"{VERSION}-{content_id([canonical_json(params)])[:8]}" if params else f"{VERSION}"
        return Actor(kind="consensus", name=self.method, version=version, params={"method": self.method, **params})


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"consensus: {name} = {value!r}{nearest(value, known)}; one of {', '.join(known)}")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"consensus: {name} = {value:g}, must be {low:g} to {high:g}")
