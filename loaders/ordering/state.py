"""The saved position of a reader: a small JSON object, equal on all ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from loaders.errors import StateMismatchError
from loaders.ordering.order import CONTRACT, STRATA_CONTRACT
from loaders.ordering.weights import DRAWS_CONTRACT

VERSION = 1
_CONTRACTS = (CONTRACT, STRATA_CONTRACT, DRAWS_CONTRACT)

_HINTS = {
    "fingerprint": "it was saved for other data: open the dataset version it was saved for, with the same filter, "
    "sequence and weights, or start from epoch 0",
    "seed": "pass the seed of the run that saved it",
    "window": "pass the same Shuffle(window=...)",
    "lanes": "pass the same Shuffle(lanes=...), or none to take those of the state",
    "global_batch": "batch_size x world must stay the same; divide it anew among the ranks",
    "tail": "pass the same ReadOptions(tail=...)",
    "contract": "it was saved for another order: start from epoch 0",
}


@dataclass(frozen=True, slots=True)
class State:
    """Where a run is.

    Attributes:
        fingerprint: Fingerprint of the split.
        seed: Seed of the shuffle, None without one.
        epoch: Epoch of the next batch, from 0.
        step: Batches of this epoch that the caller has received.
        lanes: Number of lanes.
        window: Row groups in a window.
        global_batch: Rows in a batch of all ranks together.
        tail: What becomes of the last rows.
        contract: Name of the rules of the order.
    """

    fingerprint: str
    seed: int | None
    epoch: int
    step: int
    lanes: int
    window: int
    global_batch: int
    tail: str
    contract: str = CONTRACT

    def to_dict(self) -> dict[str, object]:
        """Return the JSON object, under 1 KB."""
        return {"version": VERSION, **asdict(self)}


def parse_state(value: object) -> State:
    """Read what `to_dict` gave.

    Raises:
        StateMismatchError: If it is no state of this version.
    """
    if not isinstance(value, Mapping):
        raise StateMismatchError(f"a reader state is a dict, found {type(value).__name__}")
    if value.get("version") != VERSION or value.get("contract") not in _CONTRACTS:
        raise StateMismatchError(
            f"expected a state of version {VERSION}, order {' or '.join(map(repr, _CONTRACTS))}; found version "
            f"{value.get('version')!r}, order {value.get('contract')!r}; read on with the Petrel that saved it"
        )
    names = {*State.__dataclass_fields__}
    found = {name: value.get(name) for name in names}
    texts, optional = {"fingerprint", "tail", "contract"}, {"seed"}
    for name in sorted(names):
        item = found[name]
        is_right = isinstance(item, str) if name in texts else type(item) is int and item >= 0
        if not is_right and not (name in optional and item is None and name in value):
            raise StateMismatchError(f"reader state: {name} is {item!r}; the state is incomplete or was edited")
    extra = sorted(set(value) - names - {"version"})
    if extra:
        raise StateMismatchError(f"reader state: unknown entries {extra}")
    return State(**found)  # type: ignore[arg-type]  # checked above, name by name


def check_same_run(saved: State, ours: State) -> None:
    """Refuse a state that would continue another order.

    Raises:
        StateMismatchError: Naming what differs, both values, and what to do.
    """
    for name, hint in _HINTS.items():
        was, is_now = getattr(saved, name), getattr(ours, name)
        if was != is_now:
            raise StateMismatchError(f"reader state: {name} was {was!r}, this reader has {is_now!r}; {hint}")
