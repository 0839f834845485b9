"""Clusters of what is near: connected components over pairs, found in arrays. Pure functions.

Legend: N things, V views of each, W words of 64 bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lakehouse.datasets.likeness.hamming import BLOCK, CrowdedError, Hashes, Places, near_pairs

EDGES_WITHIN = 26
"""Of 144 bits of `edge_hash` so many may differ where `phash` is near; see lakehouse/DECISIONS.md."""
SAYS_LITTLE = 4
"""A dhash with at most so many bits set, or not set, is that of a flat picture or of one even slope."""
MOST_PRODUCTS = 1 << 42
"""Multiplications for embeddings beyond which there is no answer: some minutes of one core."""
MOST_COUNTED = 10_000_000
MARGIN = 1e-3
"""How far a product of float32 may be off before it is computed again in float64."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """What is near to what.

    Attributes:
        of: The smallest place of the cluster that each thing is in; int64, shape (N,). Its own if it is alone.
        pairs: How many pairs were found near; what is equal in all that is compared counts as one thing. Counted up to
            ten million.
        silent: Things whose hash says too little to be compared.
    """

    of: Places
    pairs: int
    silent: int = 0


def clusters_by_phash(phashes: Sequence[str], edges: Sequence[str], distance: int) -> Clusters:
    """Return the clusters of pictures of which the whole of one is near to any view of the other.

    Args:
        phashes: Dimension `phash`, N texts.
        edges: Dimension `edge_hash` of the same pictures.
        distance: Bits of one view of `phash` that may differ.

    Raises:
        CrowdedError: If the pictures are too much alike to be compared.
    """
    firsts, same_as = _distinct([f"{phash}{edge}" for phash, edge in zip(phashes, edges, strict=True)])
    phashes_NV = _words([phashes[place] for place in firsts], words=1)[..., 0]
    edges_NVW = _words([edges[place] for place in firsts], words=3)
    views = phashes_NV.shape[1]
    joined = _Joined(len(firsts))
    for ones, seen in near_pairs(np.ascontiguousarray(phashes_NV[:, 0]), phashes_NV.reshape(-1), distance):
        twos, views_seen = np.divmod(seen, views)
        other = ones != twos
        ones, twos, views_seen = ones[other], twos[other], views_seen[other]
        unlike = np.bitwise_count(edges_NVW[ones, 0] ^ edges_NVW[twos, views_seen]).sum(axis=1, dtype=np.int64)
        near = unlike <= EDGES_WITHIN
        joined.add(ones[near], twos[near])
    return joined.clusters(firsts, same_as)


def clusters_by_dhash(dhashes: Sequence[str], distance: int) -> Clusters:
    """Return the clusters of pictures whose hashes differ in at most `distance` bits; those that say little are alone.

    Raises:
        CrowdedError: If the pictures are too much alike to be compared.
    """
    firsts, same_as = _distinct(dhashes)
    hashes = _words([dhashes[place] for place in firsts], words=1)[:, 0, 0]
    bits = np.bitwise_count(hashes)
    telling = np.nonzero((bits > SAYS_LITTLE) & (bits < 64 - SAYS_LITTLE))[0]
    joined = _Joined(len(firsts))
    for ones, twos in near_pairs(hashes[telling], hashes[telling], distance):
        once = ones < twos
        joined.add(telling[ones[once]], telling[twos[once]])
    silent = ~np.isin(same_as, telling)
    found = joined.clusters(firsts, same_as)
    alone = np.arange(len(same_as), dtype=np.int64)
    return Clusters(np.where(silent, alone, found.of), found.pairs, int(silent.sum()))


def clusters_by_cosine(vectors_ND: npt.NDArray[np.float64], distance: float) -> Clusters:
    """Return the clusters of vectors whose cosine is at least 1 - `distance`, to nine decimals; zeros are alone.

    Raises:
        CrowdedError: If there are too many to compare all with all.
    """
    count, width = vectors_ND.shape
    if count * count * width > MOST_PRODUCTS:
        raise CrowdedError(f"{count:,} vectors of {width} numbers")
    lengths = np.sqrt((vectors_ND * vectors_ND).sum(axis=1))
    telling = np.nonzero(lengths > 0)[0]
    units = vectors_ND[telling] / lengths[telling, None]
    coarse = units.astype(np.float32)
    joined = _Joined(count)
    rows = max(1, BLOCK // max(1, len(units)))
    for start in range(0, len(units), rows):
        ones, twos = np.nonzero(coarse[start : start + rows] @ coarse.T >= 1 - distance - MARGIN)
        ones = ones + start
        ones, twos = ones[ones < twos], twos[ones < twos]
        # Again in one fixed order, so that no library of matrices decides.
        near = np.round((units[ones] * units[twos]).sum(axis=1), 9) >= round(1 - distance, 9)
        joined.add(telling[ones[near]], telling[twos[near]])
    everyone = np.arange(count, dtype=np.int64)
    return joined.clusters(everyone, everyone, silent=count - len(telling))


class _Joined:
    """Things that are joined pair by pair."""

    def __init__(self, count: int) -> None:
        self.parents = np.arange(count, dtype=np.int64)
        self.codes = np.zeros(0, dtype=np.int64)

    def add(self, ones: Places, twos: Places) -> None:
        """Join pairs; one that comes again, the other way round too, changes nothing."""
        if len(self.codes) < MOST_COUNTED:
            codes = np.minimum(ones, twos) * len(self.parents) + np.maximum(ones, twos)
            self.codes = np.unique(np.concatenate([self.codes, codes[:MOST_COUNTED]])) if len(codes) else self.codes
        apart = self.parents[ones] != self.parents[twos]
        for one, two in zip(ones[apart].tolist(), twos[apart].tolist(), strict=True):
            first, other = sorted((self._root(one), self._root(two)))
            self.parents[other] = first

    def clusters(self, firsts: Places, same_as: Places, *, silent: int = 0) -> Clusters:
        """Return the clusters of all things, of which `same_as` tells which distinct one each is."""
        roots = self.parents
        while not np.array_equal(roots, roots[roots]):
            roots = roots[roots]
        return Clusters(firsts[roots[same_as]], min(len(self.codes), MOST_COUNTED), silent)

    def _root(self, place: int) -> int:
        while (parent := int(self.parents[place])) != place:
            self.parents[place] = self.parents[parent]
            place = parent
        return place


def _distinct(texts: Iterable[str]) -> tuple[Places, Places]:
    """Return the places of distinct texts, rising, and which of them each text is."""
    known: dict[str, int] = {}
    firsts: list[int] = []
    same_as = []
    for place, text in enumerate(texts):
        number = known.setdefault(text, len(known))
        if number == len(firsts):
            firsts.append(place)
        same_as.append(number)
    return np.array(firsts, dtype=np.int64), np.array(same_as, dtype=np.int64)


def _words(texts: Sequence[str], *, words: int) -> npt.NDArray[np.uint64]:
    """Return hashes in hex as words of 64 bits, the last filled up with zeros: (N, V, W)."""
    size = {1: 8, 3: 18}[words]
    raw = np.frombuffer(bytes.fromhex("".join(texts)), dtype=np.uint8).reshape(len(texts), -1, size)
    padded = np.zeros((*raw.shape[:2], words * 8), dtype=np.uint8)
    padded[..., :size] = raw
    found: Hashes = padded.view(">u8").astype(np.uint64)
    return found
