"""Every pair within a distance is found, and once: by bands as by comparing all with all."""

from __future__ import annotations

import numpy as np
import pytest

from lakehouse.datasets.likeness.hamming import FEW, CrowdedError, near_pairs


def pairs(left, right, distance, **more):
    return sorted(pair for found in near_pairs(left, right, distance, **more) for pair in zip(*found, strict=True))


@pytest.fixture(scope="module")
def hashes():
    """300 hashes, and 500 of which 300 differ from them in 0 to 12 bits."""
    chance = np.random.default_rng(3)
    left = chance.integers(0, 2**64, 300, dtype=np.uint64)
    near = left.copy()
    for place in range(len(left)):
        for bit in chance.choice(64, chance.integers(0, 13), replace=False):
            near[place] ^= np.uint64(1) << np.uint64(bit)
    return left, np.concatenate([near, chance.integers(0, 2**64, 200, dtype=np.uint64)])


@pytest.mark.parametrize("distance", [0, 1, 3, 4, 7, 8, 12])
def test_bands_find_what_comparing_all_finds(hashes, distance):
    left, right = hashes
    differing = np.bitwise_count(left[:, None] ^ right[None, :])
    wanted = sorted(zip(*np.nonzero(differing <= distance), strict=True))
    assert len(wanted) > 10
    assert pairs(left, right, distance, few=0) == wanted == pairs(left, right, distance)


def test_no_hashes_have_no_pairs():
    nothing = np.zeros(0, dtype=np.uint64)
    assert pairs(nothing, nothing, 8) == pairs(nothing, nothing, 8, few=-1) == []


def test_hashes_that_are_all_alike_are_refused_before_hours_pass():
    alike = np.zeros(1 << 20, dtype=np.uint64)
    assert len(alike) ** 2 > FEW
    with pytest.raises(CrowdedError, match="comparisons, at most"):
        next(near_pairs(alike, alike, 8))
