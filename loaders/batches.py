"""Make one batch from its plan: decode, mark, transform. Runs in a decoding thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loaders.decode import Batch, Column
from loaders.errors import DecodeError, FormatError, PlacedError, TransformError
from loaders.options import ReadOptions
from loaders.order import sample_seeds
from loaders.source import Split
from loaders.windows import BatchPlan, Rows, Take

IS_PAD = "is_pad"
SAMPLE_SEED = "_sample_seed"

Transform = Callable[[Batch], Batch]


@dataclass(frozen=True, slots=True)
class Made:
    """A batch, and the samples that were left out of it."""

    batch: Batch
    skipped: tuple[PlacedError, ...]


@dataclass
class BatchMaker:
    """What all batches of a reader have in common.

    Attributes:
        split: Where the rows lie, to name places.
        options: How to read.
        seed: Seed of the shuffle, None without one.
        transform: The caller's function, None without one.
        closed: Set when the reader is closed.
    """

    split: Split
    options: ReadOptions
    seed: int | None
    transform: Transform | None
    closed: threading.Event = field(default_factory=threading.Event)

    def make(self, plan: BatchPlan) -> Made:
        """Return the batch.

        Raises:
            CorruptionError: If a row group cannot be read.
            DecodeError: If a value is not what its field declares.
            TransformError: If the caller's function raises.
        """
        columns = [Column(each, plan.rows, max_pixels=self.options.max_pixels) for each in self.split.fields]
        is_pad = np.zeros(plan.rows, dtype=bool)
        numbers = np.zeros(plan.rows, dtype=np.int64)
        skipped: list[PlacedError] = []
        for take in plan.takes:
            rows = self._wait(take.window)
            numbers[take.places] = rows.numbers[take.first : take.last]
            is_pad[take.places] = take.is_filler
            bad = self._fill(columns, rows, take)
            lost = np.arange(plan.rows)[take.places][list(bad)]
            is_pad[lost] = True
            for column in columns:
                column.blank(lost.tolist())
            if not take.is_filler:
                skipped += bad.values()
        batch = self._finish(columns, is_pad, numbers, plan)
        return Made(self._transformed(batch, plan) if self.transform else batch, tuple(skipped))

    def _fill(self, columns: list[Column], rows: Rows, take: Take) -> dict[int, PlacedError]:
        """Fill the columns; return {index in the take: why it stays blank}."""
        bad: dict[int, PlacedError] = {
            index - take.first: error for index, error in rows.broken.items() if take.first <= index < take.last
        }
        if len(bad) == take.last - take.first:
            return bad
        data = rows.data.slice(take.first, take.last - take.first)
        for column in columns:
            for failure in column.fill(take.places, data.column(column.field.name)):
                if failure.index in bad:
                    continue
                place = self.split.locate(int(rows.numbers[take.first + failure.index]))
                error = DecodeError(
                    f"{place.file}: row group {place.row_group}, row {place.row}, column {column.field.name}: "
                    f"{failure.reason}; leave the sample out of the dataset, or read with on_error='skip'",
                    file=place.file,
                    row_group=place.row_group,
                    row=place.row,
                    column=column.field.name,
                )
                if self.options.on_error == "raise":
                    raise error
                bad[failure.index] = error
        return bad

    def _finish(self, columns: list[Column], is_pad: Any, numbers: Any, plan: BatchPlan) -> Batch:
        keep = None
        if self.options.tail != "pad" and is_pad.any():
            keep = ~is_pad
        batch: Batch = {column.field.name: column.finish(keep) for column in columns}
        if self.options.sample_seeds and self.seed is not None:
            seeds = sample_seeds(self.split.manifest.fingerprint, self.seed, plan.epoch, numbers)
            batch[SAMPLE_SEED] = seeds if keep is None else seeds[keep]
        if self.options.tail == "pad":
            batch[IS_PAD] = is_pad
        return batch

    def _transformed(self, batch: Batch, plan: BatchPlan) -> Batch:
        if self.transform is None:
            return batch
        try:
            result: object = self.transform(batch)
        except Exception as error:
            raise TransformError(
                f"the transform raised {type(error).__name__} on batch {plan.step} of epoch {plan.epoch}: {error}"
            ) from error
        if not isinstance(result, dict):
            raise FormatError(f"a transform returns the batch, a dict; found {type(result).__name__}")
        return result

    def _wait(self, future: Future[Rows]) -> Rows:
        while True:
            try:
                return future.result(timeout=0.5)
            except FutureTimeout:
                if future.done():
                    raise
                if self.closed.is_set():
                    raise CancelledError from None
