"""Positions on the earth to clusters of density: those that hang together, whatever grid would part them. Pure.

DBSCAN (Ester, Kriegel, Sander and Xu, KDD 1996) with one rule where it leaves a choice: a position at the border of
several clusters is of the one whose core position is nearest, of equally near ones that which comes first.

Legend: N positions, P pairs of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lakehouse.errors import ConfigError
from lakehouse.reifying.places import DEGREE_M

RADIUS_M = DEGREE_M * 180 / math.pi

MOST_PAIRS = 50_000_000
"""Pairs of positions that are near; more are 2 GB in memory."""

BLOCK = 2_048
"""Positions of one cell of the search that are compared with others at a time."""

NOWHERE = -1

Places = npt.NDArray[np.int64]


def clusters_of(degrees_N2: npt.NDArray[np.float64], *, within_m: float, least: int) -> Places:
    """Return the cluster of each position: the place of its first core position in the list; -1: it is in none.

    A core position has `least` positions within `within_m` metres, itself counted. Core positions that near are of one
    cluster, and so on; what is no core position and near to one is of its cluster.

    Args:
        degrees_N2: Latitude -90 to 90 and longitude -180 to 180; float64, shape (N, 2).
        within_m: Metres along a great circle, above 0, less than half of one.
        least: 1: nobody is alone.

    Raises:
        ConfigError: If more than 50 million pairs are near.
    """
    # What lies at one spot is one, however many photos were taken there.
    spots_S2, spot_N = np.unique(degrees_N2, axis=0, return_inverse=True)
    spot_N = spot_N.reshape(-1)
    weights_S = np.bincount(spot_N, minlength=len(spots_S2))
    ones_P, twos_P, chords_P = _near_pairs(_on_sphere(spots_S2), 2 * RADIUS_M * math.sin(within_m / (2 * RADIUS_M)))
    around_S = weights_S.copy()
    np.add.at(around_S, ones_P, weights_S[twos_P])
    np.add.at(around_S, twos_P, weights_S[ones_P])
    core_S = around_S >= least
    between_P = core_S[ones_P] & core_S[twos_P]
    # The first of the list that lies at a spot: ids that are made of it do not hang on how spots are sorted.
    first_S = np.full(len(spots_S2), len(spot_N), np.int64)
    np.minimum.at(first_S, spot_N, np.arange(len(spot_N)))
    cluster_S = np.where(core_S, _components(first_S, ones_P[between_P], twos_P[between_P]), NOWHERE)
    border_P = core_S[ones_P] != core_S[twos_P]
    cores_P = np.where(core_S[ones_P], ones_P, twos_P)[border_P]
    others_P = np.where(core_S[ones_P], twos_P, ones_P)[border_P]
    nearest_P = np.lexsort((first_S[cores_P], chords_P[border_P]))[::-1]  # the nearest is written last
    cluster_S[others_P[nearest_P]] = cluster_S[cores_P[nearest_P]]
    found: Places = cluster_S[spot_N]
    return found


def _on_sphere(degrees_N2: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return x, y and z, m; float64, (N, 3)."""
    latitude_N, longitude_N = np.radians(degrees_N2).T
    flat_N = np.cos(latitude_N)
    return RADIUS_M * np.stack((flat_N * np.cos(longitude_N), flat_N * np.sin(longitude_N), np.sin(latitude_N)), axis=1)


def _near_pairs(points_N3: npt.NDArray[np.float64], chord_m: float) -> tuple[Places, Places, npt.NDArray[np.float64]]:
    """Return pairs of points that are at most so far apart, each once, and how far."""
    cells_N3 = np.floor(points_N3 / chord_m).astype(np.int64)
    members: dict[tuple[int, ...], list[int]] = {}
    for place, cell in enumerate(map(tuple, cells_N3.tolist())):
        members.setdefault(cell, []).append(place)
    steps = [step for step in itertools.product((-1, 0, 1), repeat=3) if step >= (0, 0, 0)]  # each pair of cells once
    found, count = [], 0
    for cell, here in members.items():
        there = [place for step in steps if any(step)
                 for place in members.get(tuple(map(sum, zip(cell, step, strict=True))), ())]  # fmt: skip
        for ones, twos in _blocks(np.array(here), np.array([*here, *there])):
            apart = np.linalg.norm(points_N3[ones][:, None] - points_N3[twos][None], axis=2)
            near = apart <= chord_m
            # In one cell each pair comes twice, and each point with itself.
            near &= (ones[:, None] < twos[None]) | ~np.isin(twos, here)[None]
            one, two = np.nonzero(near)
            found.append((ones[one], twos[two], apart[one, two]))
            count += len(one)
            if count > MOST_PAIRS:
                raise ConfigError(f"places: more than {MOST_PAIRS:,} pairs of positions are near; take fewer metres, "
                                  "cells (--cell-m), or round the positions")  # fmt: skip
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    ones_P, twos_P, chords_P = map(np.concatenate, zip(*found, strict=True))
    return ones_P, twos_P, chords_P


def _blocks(ones: Places, twos: Places) -> Iterator[tuple[Places, Places]]:
    for at, also in itertools.product(range(0, len(ones), BLOCK), range(0, len(twos), BLOCK)):
        yield ones[at : at + BLOCK], twos[also : also + BLOCK]


def _components(labels_N: Places, ones_P: Places, twos_P: Places) -> Places:
    """Return the least label of all that hang together."""
    root_N = np.arange(len(labels_N))
    while True:
        one_P, two_P = root_N[ones_P], root_N[twos_P]
        if np.array_equal(one_P, two_P):
            break
        np.minimum.at(root_N, np.maximum(one_P, two_P), np.minimum(one_P, two_P))
        while not np.array_equal(root_N, further_N := root_N[root_N]):
            root_N = further_N
    least_N = labels_N.copy()
    np.minimum.at(least_N, root_N, labels_N)
    found: Places = least_N[root_N]
    return found
