"""Where the time of a reader goes."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from loaders.engine.tuning import Observed

_WHOLE = ("batches", "rows", "read_bytes", "objects", "objects_dropped")
"""Counters that are no seconds."""


@dataclass(frozen=True, slots=True)
class ReaderStats:
    """What a reader has done so far. Seconds of threads that work side by side add up.

    Attributes:
        batches: Batches delivered.
        rows: Samples delivered, padding included.
        read_bytes: Bytes of the row groups that were read (uncompressed, all columns).
        read_s: Seconds of reading threads in storage and checksums.
        decode_s: Seconds of workers in gathering and decoding.
        transform_s: Seconds of workers in the caller's transform.
        cpu_s: Processor seconds of workers in both.
        waited_s: Seconds in which the caller waited for a batch.
        consumer_s: Seconds between two calls, in which the caller worked.
        workers: Threads or processes that make batches.
        note: What the choice of workers rests on.
        objects: Objects that decoders moved with their pictures, in batches that were made.
        objects_dropped: Those of them that left their pictures.
    """

    batches: int = 0
    rows: int = 0
    read_bytes: int = 0
    read_s: float = 0.0
    decode_s: float = 0.0
    transform_s: float = 0.0
    cpu_s: float = 0.0
    waited_s: float = 0.0
    consumer_s: float = 0.0
    workers: int = 0
    note: str = ""
    objects: int = 0
    objects_dropped: int = 0

    def __str__(self) -> str:
        total = self.waited_s + self.consumer_s
        speed = f"{self.rows / total:,.0f} rows/s" if total > 0 else "no rows yet"
        objects = f"; {self.objects:,} objects moved, {self.objects_dropped:,} of them dropped" if self.objects else ""
        return (
            f"{self.batches:,} batches, {self.rows:,} rows, {speed}; caller: {self.consumer_s:.2f} s working, "
            f"{self.waited_s:.2f} s waiting; workers ({self.workers}): decode {self.decode_s:.2f} s, transform "
            f"{self.transform_s:.2f} s, reading {self.read_s:.2f} s ({self.read_bytes / 1e6:,.0f} MB)"
            f"{objects}{'; ' + self.note if self.note else ''}"
        )


@dataclass
class Stats:
    """The counters behind `ReaderStats`, filled by several threads."""

    totals: dict[str, float] = field(default_factory=dict)
    workers: int = 0
    note: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _last: dict[str, float] = field(default_factory=dict)
    _last_at: float = field(default_factory=time.perf_counter)

    def add(self, **amounts: float) -> None:
        """Add to counters."""
        with self._lock:
            for name, amount in amounts.items():
                self.totals[name] = self.totals.get(name, 0) + amount

    def delivered(self, rows: int, *, waited_s: float, consumer_s: float) -> None:
        """Count a batch."""
        self.add(batches=1, rows=rows, waited_s=waited_s, consumer_s=consumer_s)

    def since_last(self, most: int) -> Observed:
        """Return what was counted since the last call."""
        now = time.perf_counter()
        with self._lock:
            counted, since = dict(self.totals), dict(self._last)
            elapsed, self._last, self._last_at = now - self._last_at, counted, now
        new = {name: counted.get(name, 0.0) - since.get(name, 0.0) for name in counted}
        worked = new.get("decode_s", 0.0) + new.get("transform_s", 0.0)
        share = new.get("transform_s", 0.0) / worked if worked else 0.0
        return Observed(
            self.workers, most, worked, new.get("cpu_s", 0.0), share, elapsed, new.get("waited_s", 0.0)
        )

    def snapshot(self) -> ReaderStats:
        """Return what was counted so far."""
        with self._lock:
            counted = dict(self.totals)
        whole = {name: int(counted.pop(name, 0)) for name in _WHOLE}
        return ReaderStats(**whole, **counted, workers=self.workers, note=self.note)  # type: ignore[arg-type]
