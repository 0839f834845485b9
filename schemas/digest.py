"""The digest of rows: their content in three numbers, free of order, layout and engine, additive under append."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MODULUS = 1 << 64


@dataclass(frozen=True, slots=True)
class Digest:
    """Row count, and the sums modulo 2**64 of bytes 0-7 and of bytes 8-15 (big-endian) of every row hash."""

    rows: int = 0
    low: int = 0
    high: int = 0

    def __add__(self, other: Digest) -> Digest:
        return Digest(self.rows + other.rows, (self.low + other.low) % MODULUS, (self.high + other.high) % MODULUS)

    def __sub__(self, other: Digest) -> Digest:
        return Digest(self.rows - other.rows, (self.low - other.low) % MODULUS, (self.high - other.high) % MODULUS)

    def __str__(self) -> str:
        return f"{self.rows}-{self.low:016x}-{self.high:016x}"


def parse_digest(text: object) -> Digest:
    """Read what `str(digest)` wrote.

    Raises:
        ValueError: If it is no digest.
    """
    try:
        rows, low, high = str(text).split("-")
        return Digest(int(rows), int(low, 16), int(high, 16))
    except ValueError as error:
        raise ValueError(f"expected a digest like 12-<16 hex>-<16 hex>, found {text!r}") from error


def digest_of(hashes: Iterable[bytes]) -> Digest:
    """Return the digest of rows from their 32-byte hashes."""
    rows = low = high = 0
    for value in hashes:
        rows += 1
        low += int.from_bytes(value[:8], "big")
        high += int.from_bytes(value[8:16], "big")
    return Digest(rows, low % MODULUS, high % MODULUS)
