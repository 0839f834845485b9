"""The units of one pass, epoch after epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loaders.petastorm.rowgroups.order import Unit, units_in_order
from loaders.petastorm.rowgroups.work import Task


def tasks_of_pass(
    units: Sequence[Unit], *, seed: int, first_epoch: int, epochs: int | None, begin: tuple[int, int],
    is_shuffled: bool,
) -> Iterator[Task]:  # fmt: skip
    """Yield what is read from a place to the end of a pass.

    Args:
        units: What an epoch reads.
        seed: What all orders come from.
        first_epoch: Epoch with which the pass began.
        epochs: Epochs in it; None: it has no end.
        begin: Epoch and place in it to begin with.
        is_shuffled: Whether each epoch has an order of its own.
    """
    epoch, first = begin
    while units and (epochs is None or epoch < first_epoch + epochs):
        order = units_in_order(len(units), seed=seed, epoch=epoch, is_shuffled=is_shuffled)
        for place in range(first, len(units)):
            yield Task(epoch, place, units[int(order[place])], seed)
        epoch, first = epoch + 1, 0
