"""Gates: limits on the numbers of an evaluation that decide, and which of them can be meant at all."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from lakehouse.datasets.policies import measures
from lakehouse.datasets.policies.kind import AnswerKind
from lakehouse.errors import ConfigError
from lakehouse.names import nearest

OPERATORS = (">=", "<=")

GAIN = "_gain"
"""End of the name of a difference to another model's number."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A limit that decides.

    Attributes:
        metric: For example accuracy.
        operator: `>=` or `<=`.
        threshold: The limit.
        slice: `all`, `class=<label>` or `<column>=<value>`.
        min_support: Members the slice needs; fewer make the verdict inconclusive.
        confidence: The number decides if its interval of this confidence, 0 to below 1, lies on one side of the limit;
            else the verdict is inconclusive. 0 takes the number alone.
    """

    metric: str
    operator: str
    threshold: float
    slice: str = "all"
    min_support: int = 30
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise ConfigError(f"gate on {self.metric}: operator {self.operator!r}; known: {', '.join(OPERATORS)}")
        if not math.isfinite(self.threshold):
            raise ConfigError(f"gate on {self.metric}: threshold {self.threshold} decides nothing; give a number")
        if not 0 <= self.confidence < 1:
            raise ConfigError(f"gate on {self.metric}: confidence {self.confidence}; expected 0 to below 1, as 0.95")
        measure = measures().get(self.metric)
        # Such a limit would always hold, or never.
        if measure is not None and measure.is_share and not 0 <= self.threshold <= 1:
            share = f"; did you mean {self.threshold / 100:g}?" if 1 < self.threshold <= 100 else ""
            raise ConfigError(
                f"gate on {self.metric}: threshold {self.threshold:g}, but {self.metric} is a share within 0..1{share}"
            )

    def needs_interval(self, value: float | None, support: int) -> bool:
        """Return whether the interval of a number must be known."""
        return self.confidence > 0 and value is not None and support >= self.min_support

    def verdict(self, value: float | None, support: int, interval: tuple[float, float] | None = None) -> str:
        """Return pass, fail, or inconclusive where members are too few, or the limit lies in the interval.

        Args:
            value: The number; None where it is not defined.
            support: Members behind it.
            interval: Its low and high end; None: the number alone decides.
        """
        if value is None or support < self.min_support:
            return "inconclusive"
        found = {self._holds(each) for each in (value, *(interval or ()))}
        return "inconclusive" if len(found) > 1 else "pass" if found.pop() else "fail"

    def _holds(self, value: float) -> bool:
        return value >= self.threshold if self.operator == ">=" else value <= self.threshold


def check_gates(gates: Sequence[Gate], columns: Collection[str]) -> None:
    """Check that every gate is on a number that an evaluation with slices by these columns computes.

    Raises:
        ConfigError: If one is not; the message names what was probably meant.
    """
    places = [(gate.metric, gate.slice) for gate in gates]
    known = measures()
    by_class = [each for each in known.values() if each.scope == "class"]
    for gate in gates:
        column = gate.slice.partition("=")[0]
        measure = known.get(gate.metric.removesuffix(GAIN))
        if gate.metric.endswith(GAIN) and measure is not None:
            if gate.slice != "all" or measure.scope == "class":
                raise ConfigError(f"gate on {gate.metric} of {gate.slice}: models are compared over all members alone")
        elif measure is None:
            raise ConfigError(f"gate on {gate.metric}: no such metric{_meant(gate.metric, known)}")
        if measure.scope == "classes" and gate.slice != "all":
            one = next((f", or take {each.name} of one class, as {each.name}>=0.9@class=cat" for each in by_class
                        if each.mean == gate.metric), "")
            raise ConfigError(f"gate on {gate.metric} of {gate.slice}: it is a mean over all classes; leave out "
                              f"@{gate.slice}{one}")
        if measure.scope == "class" and column != "class":
            raise ConfigError(f"gate on {gate.metric} of {gate.slice}: it is computed by class; say which, as "
                              f"{gate.metric}>=0.9@class=cat, or take {measure.mean} over all")
        if measure.scope == "all" and gate.slice != "all" and column not in columns:
            given = ", ".join(f"--slice {name}" for name in columns) or "no --slice"
            names = ", ".join(each.name for each in by_class)
            raise ConfigError(
                f"gate on {gate.metric} of {gate.slice}: by class there are {names}" if column == "class"
                else f"gate on {gate.metric} of {gate.slice}: nothing is sliced by `{column}`; add --slice {column} "
                f"(given: {given})"
            )
        if places.count((gate.metric, gate.slice)) > 1:
            raise ConfigError(f"two gates on {gate.metric} of {gate.slice}; give one, or evaluate twice")


def check_computed(gates: Iterable[Gate], computed: Collection[str], kind: AnswerKind) -> None:
    """Check that every gate is on a number that answers of this kind have.

    Args:
        gates: Gates that `check_gates` let pass.
        computed: Metrics that the evaluation has.
        kind: Of the answers.

    Raises:
        ConfigError: If one is not; the message lists those that there are.
    """
    known = measures()
    # A class may lack numbers; that is told, and fails, elsewhere.
    may_lack = {each.name for each in kind.measures if each.scope != "all"}
    for gate in gates:
        if gate.metric.endswith(GAIN) and gate.metric not in computed:
            base = gate.metric.removesuffix(GAIN)
            why = "say against whom: --against model:old@1" if base in computed else f"these answers have no {base}"
            raise ConfigError(f"gate on {gate.metric}: {why}")
        if gate.metric not in computed and gate.metric not in may_lack:
            there = ", ".join(name for name in known if name in computed)
            raise ConfigError(f"gate on {gate.metric}: these answers have no such number; there are {there}")


def check_values(gates: Iterable[Gate], computed: Collection[str], classes: Collection[str]) -> None:
    """Check that every gate on a slice names a value or a class that there is.

    Args:
        gates: Gates that `check_gates` let pass.
        computed: Slices that the evaluation has numbers for, as `origin=real` or `class=cat`.
        classes: Every label of the dataset, also of other splits: such a class has no member here, and that fails.

    Raises:
        ConfigError: If one does not.
    """
    for gate in gates:
        column, _, value = gate.slice.partition("=")
        values = sorted({each.partition("=")[2] for each in computed if each.partition("=")[0] == column})
        if column == "class":
            values = sorted({*values, *classes})
        if gate.slice != "all" and value not in values:
            what = "no such class" if column == "class" else f"no member has this {column}"
            raise ConfigError(f"gate on {gate.metric} of {gate.slice}: {what}{_meant(value, values)}")


def _meant(name: str, known: Collection[str]) -> str:
    found, listed = nearest(name, known), f"known: {', '.join(known)}"
    return found if listed in found else f"{found} ({listed})"
