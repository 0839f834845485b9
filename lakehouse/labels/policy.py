"""Label policies: small data that says whose opinions are believed, told apart by a hash of it.

A policy is a list of steps. For each thing the first step that comes to an answer decides: "the majority of people
with a quorum of 3; else the expert; else the model above 0.98".
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lakehouse.errors import ConfigError
from lakehouse.names import nearest
from lakehouse.typed import fill, read_toml
from schemas.canonical import canonical_json, content_id
from schemas.opinions import ACTOR_KINDS

CONTRACT = 1
"""Part of every policy's id. Raised when the same policy over the same opinions would come to other answers."""

UNITING = 2
"""The same of policies that unite regions. 2: labels that were merged are one, and turned boxes are united too."""

TIES = ("exclude", "lowest", "latest")
WEIGHT_DIGITS = 6
"""Digits of a weight behind the point: votes are summed as whole numbers, equally on every engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: whose answers are counted, and when they come to one.

    Attributes:
        kinds: Kinds of actors that are heard: human, pool, import, consensus, rule, model.
        actors: These actors alone, in place of the kinds; `consensus:boxes@*` means every version.
        weights: Actor -> what each of its votes counts, more than 0, six digits behind the point; others count 1.
        quorum: Votes (with their weights) that must have been given.
        min_share: Share of the votes that the answer needs, 0 to 1.
        ties: Between answers with equal votes: `exclude` comes to none, `lowest` takes the first by label, number or
            text, `latest` the one that was said last.
        min_confidence: Only answers whose own confidence, or else the probability of their label, is at least this.
        min_support: Of regions: above 0 the answers of all are united, and a region stays if at least this share of
            those who answered has it; see `lakehouse.labels.union`.
        min_iou: Intersection over union from which on two regions of one label are the same.
    """

    kinds: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    quorum: float = 1.0
    min_share: float = 0.0
    ties: str = "exclude"
    min_confidence: float = 0.0
    min_support: float = 0.0
    min_iou: float = 0.5


@dataclass(frozen=True, slots=True)
class Policy:
    """Whose opinions are believed.

    Attributes:
        steps: In the order in which they are tried.
        soft: The shares of the votes are the answer (`label_votes`): a tie decides as well, by the first label.
        name: For people; no part of the id.
    """

    steps: tuple[Step, ...]
    soft: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        where = f"policy {self.name}" if self.name else "policy"
        if not self.steps:
            raise ConfigError(f"{where}: needs a step that says who is heard")
        for number, step in enumerate(self.steps, start=1):
            _check(step, f"{where}: step {number}")

    def canonical(self) -> dict[str, object]:
        """The policy as plain values, without what equals its default and without its name."""
        steps = [
            {each.name: _plain(getattr(step, each.name)) for each in dataclasses.fields(step) if not _usual(step, each)}
            for step in self.steps
        ]
        return {"steps": steps} | ({"soft": True} if self.soft else {})

    @property
    def policy_id(self) -> str:
        """Content id, 16 hex digits: equal for policies that mean the same, whatever they are called."""
        contract = UNITING if self.unites else CONTRACT
        return content_id({"policy": self.canonical(), "contract": contract}, digits=16)

    @property
    def unites(self) -> bool:
        """Whether a step unites the regions of several."""
        return any(step.min_support > 0 for step in self.steps)

    def to_json(self) -> str:
        """Canonical JSON that `policy_from` reads back."""
        return canonical_json(self.canonical())


def policy_from(record: Mapping[str, object], *, where: str, name: str = "") -> Policy:
    """Read a policy from plain values, as TOML and JSON have them.

    Raises:
        ConfigError: If a key is unknown, or a value of the wrong type or out of range.
    """
    known = ("name", "soft", "steps")
    for key in record:
        if key not in known:
            raise ConfigError(f"{where}: unknown key `{key}`{nearest(key, known)}")
    steps, is_soft, called = record.get("steps", ()), record.get("soft", False), record.get("name", name)
    if not isinstance(steps, list | tuple) or not isinstance(is_soft, bool) or not isinstance(called, str):
        raise ConfigError(f"{where}: `steps` are tables ([[steps]]), `soft` is true or false, `name` is a text")
    found = []
    for number, each in enumerate(steps, start=1):
        if not isinstance(each, Mapping):
            raise ConfigError(f"{where}: step {number} must be a table, found {each!r}")
        found.append(fill(Step, each, where=f"{where}: step {number}"))
    return Policy(tuple(found), soft=is_soft, name=called)


def load_policy(path: str | Path) -> Policy:
    """Read a policy from a file of TOML, or of JSON if its name ends so; without a name it takes the file's.

    Raises:
        ConfigError: If the file cannot be read, or is no policy.
    """
    file = Path(path)
    if file.suffix != ".json":
        return policy_from(read_toml(file), where=str(file), name=file.stem)
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read as JSON ({error})") from error
    if not isinstance(record, dict):
        raise ConfigError(f"{file}: a policy is an object, found {type(record).__name__}")
    return policy_from(record, where=str(file), name=file.stem)


def _check(step: Step, where: str) -> None:
    for kind in step.kinds:
        if kind not in ACTOR_KINDS:
            raise ConfigError(f"{where}: kinds has {kind!r}{nearest(kind, ACTOR_KINDS)}")
    if bool(step.kinds) == bool(step.actors):
        raise ConfigError(f"{where}: say who is heard by either kinds or actors")
    for actor in (*step.actors, *step.weights):
        if actor.partition(":")[0] not in ACTOR_KINDS or "\0" in actor:
            raise ConfigError(f"{where}: {actor!r} is no actor; write kind:name, as human:ada or consensus:boxes@*")
    if step.ties not in TIES:
        raise ConfigError(f"{where}: ties = {step.ties!r}{nearest(step.ties, TIES)}")
    for name in ("min_share", "min_confidence", "min_support", "min_iou"):
        if not 0 <= getattr(step, name) <= 1:
            raise ConfigError(f"{where}: {name} must be within 0..1, found {getattr(step, name)}")
    if not 0 < step.quorum <= 10**9:
        raise ConfigError(f"{where}: quorum must be above 0, found {step.quorum}")
    for actor, weight in step.weights.items():
        if not 0 < weight <= 10**6 or round(weight, WEIGHT_DIGITS) != weight:
            raise ConfigError(
                f"{where}: weights has {actor} = {weight}; a weight is above 0, a million at most, with "
                f"{WEIGHT_DIGITS} digits behind the point at most"
            )


def _usual(step: Step, each: dataclasses.Field[object]) -> bool:
    return bool(getattr(step, each.name) == getattr(USUAL, each.name))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(sorted(value.items()))
    return sorted(value) if isinstance(value, tuple) else value


USUAL = Step()
