"""Which rows of a query make which batch of which rank ("petrel-query-1"), and the state of a stream.

Place t of an epoch is row t of the query. Step k is the places kG ... (k+1)G-1; rank r of W has those of them for which
t mod W = r, ascending: so the steps are the same rows for every W that divides G. What is beyond the last row is filled
from the first one on, and marked. docs/streaming.md says the same for people.

Legend: N rows, G rows of a batch of all ranks together, W ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np

from loaders.axes import Ints, Mask
from loaders.errors import StateMismatchError

CONTRACT = "petrel-query-1"
VERSION = 1
Tail = Literal["pad", "drop", "ragged"]

_HINTS = {
    "query": "it was saved for another query or other parameters, for another version of a function of yours, or "
    "when a name@commit in it named another commit",
    "order": "the same query gives other rows at the same versions of the tables: were bytes erased, or is the lake "
    "another one? Start from epoch 0",
    "seed": "pass the seed of the run that saved it",
    "global_batch": "batch_size x world must stay the same; divide it anew among the ranks",
    "tail": "pass the same tail",
}


@dataclass(frozen=True, slots=True)
class State:
    """Where a run is; equal on all ranks.

    Attributes:
        query: Hash of text, parameters, versions of functions of yours and of what is read `@commit`.
        pins: Table -> the version that is read.
        order: Hash of the ids, in order.
        seed: What decoders draw from.
        global_batch: G.
        tail: What becomes of the last N mod G rows.
        epoch: Epoch of the next batch, from 0.
        step: Batches of this epoch that the caller has received.
        contract: Name of these rules.
    """

    query: str
    pins: Mapping[str, int]
    order: str
    seed: int
    global_batch: int
    tail: str
    epoch: int = 0
    step: int = 0
    contract: str = CONTRACT

    def to_dict(self) -> dict[str, object]:
        """Return the JSON object."""
        return {"version": VERSION, **asdict(self), "pins": dict(self.pins)}


def parse_state(value: object) -> State:
    """Read what `to_dict` gave.

    Raises:
        StateMismatchError: If it is no state of this version.
    """
    if not isinstance(value, Mapping) or value.get("version") != VERSION or value.get("contract") != CONTRACT:
        found = value.get("contract") if isinstance(value, Mapping) else type(value).__name__
        raise StateMismatchError(f"expected the state of a stream, {CONTRACT!r} of version {VERSION}, found {found!r}")
    texts, numbers = ("query", "order", "tail"), ("seed", "global_batch", "epoch", "step")
    pins = value.get("pins")
    is_right = (
        set(value) == {"version", *State.__dataclass_fields__}
        and all(isinstance(value[name], str) for name in texts)
        and all(type(value[name]) is int and value[name] >= 0 for name in numbers)
        and isinstance(pins, Mapping)
        and all(isinstance(name, str) and type(version) is int for name, version in pins.items())
    )
    if not is_right:
        raise StateMismatchError("state of a stream: it is incomplete or was edited; start from epoch 0")
    return State(**{name: value[name] for name in State.__dataclass_fields__})


def check_same_run(saved: State, ours: State) -> None:
    """Refuse a state that would continue another order.

    Raises:
        StateMismatchError: Naming what differs, both values, and what to do.
    """
    for name, hint in _HINTS.items():
        was, is_now = getattr(saved, name), getattr(ours, name)
        if was != is_now:
            raise StateMismatchError(f"state of a stream: {name} was {was!r}, here it is {is_now!r}; {hint}")


def same_question(saved: State, ours: State) -> State:
    """Return our state as it would be with the saved versions and rows: what is to be compared before asking again."""
    return replace(ours, pins=saved.pins, order=saved.order)


def steps_of(rows: int, global_batch: int, tail: str) -> int:
    """Return the batches of an epoch."""
    whole, rest = divmod(rows, global_batch)
    return whole + (1 if rest and tail != "drop" else 0)


def places_of(step: int, *, rows: int, global_batch: int, rank: int, world: int, tail: str) -> tuple[Ints, Mask]:
    """Return the rows of a batch of one rank: int64 (n,), and which of them are padding: bool (n,)."""
    places = np.arange(step * global_batch + rank, (step + 1) * global_batch, world, dtype=np.int64)
    is_pad = places >= rows
    if tail == "ragged":
        return places[~is_pad], is_pad[~is_pad]
    return np.where(is_pad, (places - rows) % rows, places), is_pad
