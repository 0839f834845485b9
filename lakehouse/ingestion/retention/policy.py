"""What of a source is worth keeping: a policy of rules and a sample, judged before a byte is stored."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

from lakehouse.errors import ConfigError
from lakehouse.names import nearest
from schemas.canonical import canonical_json

NUMBERS: Mapping[str, Callable[[float, float], bool]] = {
    "min": lambda value, limit: value >= limit, "max": lambda value, limit: value <= limit,
    "above": lambda value, limit: value > limit, "below": lambda value, limit: value < limit,
}
WORDS = (*NUMBERS, "in", "not")

SAMPLE, UNJUDGED, NOT_KEPT = "sample", "unjudged", "not_kept"
RESERVED = (SAMPLE, UNJUDGED, NOT_KEPT)


@dataclass(frozen=True, slots=True)
class Keep:
    """What of a source is kept: what any rule is for, and a sample of everything.

    Attributes:
        rules: Name -> field -> condition: `unsure.confidence = { below = 0.6 }`. All fields of a rule must fit. A field
            is one of the file's sidecar record or, where that has none of the name, a dimension: `brightness`. A
            condition is a value, a list of values, or a table of min, max, above, below, in and not.
        sample: Share of all files, 0 to 1, that is kept whatever the rules say, by `md5(sha256 | seed)`: those with
            `petrel_bucket(sha256, seed) < sample * 2**52`.
        seed: Of the sample.
    """

    rules: Mapping[str, Mapping[str, object | Mapping[str, object]]] = field(default_factory=dict)
    sample: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.sample <= 1:
            raise ConfigError(f"keep: sample = {self.sample}; expected a share from 0 to 1, as 0.01")
        if not self.rules and not self.sample:
            raise ConfigError("keep: neither a rule nor a sample: nothing would be kept; leave `keep` out to keep all")
        for name, fields in self.rules.items():
            if name in RESERVED:
                raise ConfigError(f"keep: a rule cannot be called `{name}`, which says something else in the ledger")
            if not fields:
                raise ConfigError(f"keep: rule {name} has no field; write {name}.confidence = {{ below = 0.6 }}")
            for column, said in fields.items():
                _check_condition(f"keep: rule {name}: {column}", said)

    @property
    def text(self) -> str:
        """The policy as canonical JSON: what a decision rests on."""
        return canonical_json(asdict(self))

    @property
    def fields(self) -> tuple[str, ...]:
        """What rules ask of."""
        return tuple(sorted({column for fields in self.rules.values() for column in fields}))


def fits(value: object, said: object) -> bool | None:
    """Say whether a value is as a condition says; None: that cannot be told."""
    if value is None or value == "":
        return None
    if not isinstance(said, Mapping):
        return _is_among(value, said)
    answers = [_fits_one(value, word, limit) for word, limit in said.items()]
    return None if None in answers else all(answers)


def _fits_one(value: object, word: str, limit: object) -> bool | None:
    if word in NUMBERS:
        number = _number(value)
        return None if number is None else NUMBERS[word](number, float(str(limit)))
    return _is_among(value, limit) is (word == "in")


def _is_among(value: object, wanted: object) -> bool:
    listed = list(wanted) if isinstance(wanted, list | tuple) else [wanted]
    # Of CSV every value is a text.
    return any(value == each or (type(each) is not bool and _number(value) is not None
                                 and _number(value) == _number(each)) for each in listed)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if number == number else None


def _check_condition(place: str, said: object) -> None:
    if not isinstance(said, Mapping):
        _check_values(place, said)
        return
    if not said:
        raise ConfigError(f"{place}: no condition; give a value, a list, or a table of {', '.join(WORDS)}")
    for word, limit in said.items():
        if word not in WORDS:
            raise ConfigError(f"{place}: unknown condition `{word}`{nearest(word, WORDS)}")
        if word not in NUMBERS:
            _check_values(f"{place}: {word}", limit)
        elif isinstance(limit, bool) or not isinstance(limit, int | float):
            raise ConfigError(f"{place}: {word} takes a number, found {limit!r}")
    # The rule would be for nothing, and a policy of such rules drops everything.
    for low, high in itertools.product(("min", "above"), ("max", "below")):
        if low in said and high in said:
            lowest, highest = float(str(said[low])), float(str(said[high]))
            if lowest > highest or (lowest == highest and (low, high) != ("min", "max")):
                raise ConfigError(f"{place}: no number is {low} {said[low]} and {high} {said[high]}")


def _check_values(place: str, said: object) -> None:
    values = said if isinstance(said, list | tuple) else (said,)
    if not values:
        raise ConfigError(f"{place}: an empty list, which nothing is in; give the values")
    for value in values:
        if not isinstance(value, str | int | float):
            raise ConfigError(f"{place}: found {value}, which no field is; give a text, a number or a boolean: times "
                              "are texts in records, so in quotes, as the record has it")  # fmt: skip
