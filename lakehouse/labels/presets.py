"""The usual policies, by what they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lakehouse.labels.policy import Policy, Step

PEOPLE = ("human", "pool")


def majority(
    *, kinds: Sequence[str] = PEOPLE, quorum: float = 1.0, min_share: float = 0.0, ties: str = "exclude",
    weights: Mapping[str, float] | None = None,
) -> Policy:
    """The answer with most votes of these kinds of actors; with weights, of the weighted votes."""
    step = Step(kinds=tuple(kinds), quorum=quorum, min_share=min_share, ties=ties, weights=dict(weights or {}))
    return Policy((step,), name="weighted" if weights else "majority")


def trust(*actors: str) -> Policy:
    """The answer of the first of these actors who has one."""
    return Policy(tuple(Step(actors=(actor,)) for actor in actors), name="trust")


def consensus(method: str) -> Policy:
    """What a method of consensus came to, `majority`, `dawid-skene`, `boxes` ..., in whatever version."""
    return Policy((Step(actors=(f"consensus:{method}@*",), ties="latest"),), name=f"consensus-{method}")


def model(actor: str, *, above: float) -> Policy:
    """The answers of a model that are at least so sure."""
    return Policy((Step(actors=(actor,), min_confidence=above),), name="model")


def soft(*, kinds: Sequence[str] = PEOPLE, quorum: float = 1.0) -> Policy:
    """The shares of the votes of these kinds of actors."""
    return Policy((Step(kinds=tuple(kinds), quorum=quorum, ties="lowest"),), soft=True, name="soft")


def union(*, kinds: Sequence[str] = PEOPLE, support: float = 0.5, min_iou: float = 0.5, quorum: float = 1.0) -> Policy:
    """The regions that at least this share of those who answered has."""
    step = Step(kinds=tuple(kinds), quorum=quorum, min_support=support, min_iou=min_iou)
    return Policy((step,), name="union")


BUILT_IN: Mapping[str, Policy] = {
    "majority": majority(),
    "soft": soft(),
    "union": union(),
    "latest": Policy((Step(kinds=PEOPLE, ties="latest"),), name="latest"),
}
"""Policies that every lake knows by name, until another one is registered under it."""
