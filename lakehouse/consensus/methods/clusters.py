"""Which shapes of several annotators are of one object: each annotator at most once a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from lakehouse.consensus.methods.assignment import assign
from lakehouse.consensus.methods.votes import Floats

Cluster = list[int]
"""Places of the shapes of one object, ascending."""


def greedy(overlap_NN: Floats, owners: Sequence[str], *, least: float) -> list[Cluster]:
    """Join the best pair first, as long as no annotator comes twice into a cluster.

    Two clusters are joined by their best pair; so a shape need not overlap every other one of its cluster.

    Args:
        overlap_NN: Overlap of each shape with each other one, 0 to 1; symmetric, (N, N).
        owners: Annotator of each shape; (N,).
        least: Overlap from which two shapes are of one object.

    Returns:
        Clusters by their first shape; every shape is in one.
    """
    cluster_of: list[Cluster] = [[place] for place in range(len(owners))]
    rows, columns = np.nonzero(np.triu(overlap_NN >= least, 1))
    # Equal overlaps: by place, so that the answer is the same every time.
    order = np.lexsort((columns, rows, -overlap_NN[rows, columns]))
    for a, b in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        one, other = cluster_of[a], cluster_of[b]
        if one is other or {owners[n] for n in one} & {owners[n] for n in other}:
            continue
        joined = sorted([*one, *other])
        for place in joined:
            cluster_of[place] = joined
    return _distinct(cluster_of)


def hungarian(overlap_NN: Floats, owners: Sequence[str], *, least: float) -> list[Cluster]:
    """Take one annotator after the other, by name, and assign his shapes to the clusters with the best sum.

    A shape and a cluster overlap as the shape does with its shapes on average. Arguments and result as of `greedy`.
    """
    found: list[Cluster] = []
    for owner in sorted(set(owners)):
        own = [place for place, name in enumerate(owners) if name == owner]
        gain = np.array([[overlap_NN[place, each].mean() for each in found] for place in own]).reshape(len(own), -1)
        # What overlaps too little is worth nothing, and a pair of worth 0 is none.
        pairs = assign(np.where(gain >= least, gain, 0.0)) if found else []
        taken = {a: b for a, b in pairs if gain[a, b] >= least}
        for place, shape in enumerate(own):
            if place in taken:
                found[taken[place]].append(shape)
            else:
                found.append([shape])
    return sorted(map(sorted, found))


def _distinct(cluster_of: Sequence[Cluster]) -> list[Cluster]:
    return [each for place, each in enumerate(cluster_of) if each[0] == place]


MATCHINGS = {"greedy": greedy, "hungarian": hungarian}


def by_label(labels: Sequence[str | None]) -> Iterator[tuple[str | None, list[int]]]:
    """Yield each label with the places of the shapes that have it, by code point; None first."""
    for label in sorted(set(labels), key=lambda each: (each is not None, each or "")):
        yield label, [place for place, each in enumerate(labels) if each == label]


def objects(
    labels: Sequence[str | None],
    owners: Sequence[str],
    alike: Callable[[list[int]], Floats],
    *,
    least: float,
    matching: str,
) -> Iterator[tuple[str | None, Cluster]]:
    """Yield label and places of the shapes of each object that anybody found, class by class.

    Args:
        labels: Class of each shape; (N,).
        owners: Annotator of each; (N,).
        alike: Places of n shapes of one class -> how much each is like each, 0 to 1; (n, n).
        least: From which likeness on two are of one object.
        matching: `greedy` or `hungarian`.
    """
    for label, places in by_label(labels):
        for cluster in MATCHINGS[matching](alike(places), [owners[n] for n in places], least=least):
            yield label, [places[n] for n in cluster]
