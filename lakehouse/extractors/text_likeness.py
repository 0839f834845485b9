"""text_likeness: hashes by which texts are compared with one another.

A text is first made plain: NFKC, case folded, only its words (runs of letters, digits and underscores), single spaces
between them. Its shingles are all runs of 3 words; where it has fewer than 6 words (few, or in a script without spaces)
all runs of 4 characters. Each distinct shingle counts once; its hash is the first 8 bytes of BLAKE2b of its UTF-8.

    simhash   bit i is set if more hashes have it than have not (Charikar 2002): 64 bits. Texts that share most of their
              shingles differ in few bits
    minhash   of 16 permutations the least hash each, 4 hex digits of it: the share of equal places estimates the share
              of shingles that two texts have in common (Broder 1997)

The first million characters are looked at.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from lakehouse.extractors.extractor import Dimension, Extractor, Value
from lakehouse.media.plain_views import TextView

WORDS, LETTERS, FEW_WORDS = 3, 4, 6
PERMUTATIONS = 16
_CHARACTERS = 1_000_000
_WORD = re.compile(r"\w+")
# Multiplying by an odd number is a permutation modulo 2^64; which numbers does not matter.
_FACTORS = np.array([
    int.from_bytes(hashlib.blake2b(bytes([number]), digest_size=8).digest(), "little") | 1
    for number in range(PERMUTATIONS)
], dtype=np.uint64)  # fmt: skip


def measure_text_likeness(view: TextView) -> Mapping[str, Value]:
    """Return the values of `TEXT_LIKENESS` for one text; none of one without a word.

    Raises:
        RejectedInputError: If it cannot be read, or is beyond the limits.
    """
    hashes = shingle_hashes(view.text)
    if not len(hashes):
        return {}
    return {"text_simhash": simhash(hashes), "text_minhash": minhash(hashes)}


def shingle_hashes(text: str) -> npt.NDArray[np.uint64]:
    """Return the hashes of the distinct shingles of a text, increasing; uint64."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text[:_CHARACTERS]).casefold())
    if len(words) >= FEW_WORDS:
        shingles = {" ".join(words[at : at + WORDS]) for at in range(len(words) - WORDS + 1)}
    else:
        plain = " ".join(words)
        shingles = {plain[at : at + LETTERS] for at in range(max(1, len(plain) - LETTERS + 1))} if plain else set()
    digests = b"".join(hashlib.blake2b(each.encode(), digest_size=8).digest() for each in shingles)
    return np.sort(np.frombuffer(digests, dtype=">u8").astype(np.uint64))


def simhash(hashes: npt.NDArray[np.uint64]) -> str:
    """Return 64 bits as 16 hex digits."""
    # bits: (hashes, 64), the highest first; counted in pieces, as there may be a million hashes.
    ones = np.zeros(64, dtype=np.int64)
    for start in range(0, len(hashes), 1 << 16):
        octets = hashes[start : start + (1 << 16)].astype(">u8").view(np.uint8).reshape(-1, 8)
        ones += np.unpackbits(octets, axis=1).sum(axis=0, dtype=np.int64)
    return np.packbits(2 * ones > len(hashes)).tobytes().hex()


def minhash(hashes: npt.NDArray[np.uint64]) -> str:
    """Return 16 places of 4 hex digits."""
    least = [int((hashes * factor).min()) for factor in _FACTORS]
    # The least of many hashes begins with zeros: its last digits tell one from another.
    return "".join(f"{each & 0xFFFF:04x}" for each in least)


TEXT_LIKENESS = Extractor(
    name="text_likeness",
    version=1,
    media_types=("text/",),
    function=measure_text_likeness,
    dimensions=(
        Dimension("text_simhash", "text", "Simhash of runs of 3 words: 64 bits as 16 hex digits; near-duplicates "
                  "differ in few bits. No value: no word."),
        Dimension("text_minhash", "text", "Minhash of the same runs: 16 places of 4 hex digits; the share of equal "
                  "places estimates the share of common runs. No value: no word."),
    ),
)
"""Version 1."""
