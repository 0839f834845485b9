"""Checks of the loader's promises, for your own tests: of a dataset, a transform, a wrapper.

def test_my_reader_resumes():
    assert_resumes_exactly(lambda: make_reader(folder, batch_size=16, shuffle=Shuffle(seed=1), transform=mine))

def test_my_tensors_resume():
    assert_resumes_exactly(lambda: tensors(make_reader(folder, batch_size=16), ragged={"tokens": "nested"}))
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

STATE_LIMIT_BYTES = 1024


class Resumable(Protocol):
    """What can be checked: a `Reader`, or a wrapper of one."""

    def __iter__(self) -> Iterator[object]: ...

    def state_dict(self) -> dict[str, object]: ...

    def load_state_dict(self, state: Mapping[str, object]) -> None: ...


R = TypeVar("R", bound=Resumable)


def assert_resumes_exactly(make: Callable[[], R], *, every: int = 1) -> None:
    """Restore at every step, and read on: each batch must be the one of the undisturbed pass, in the same place.

    Also checked: states are JSON of at most 1 KB that always has the same keys; taking one changes nothing; and a
    chain of restarts, one batch each, gives the pass too. A reader restored at the end of its pass gives nothing
    more, or its next pass. Reads about n * n / 2 batches of a pass of n.

    Args:
        make: Returns a new reader, each time the same; its pass must end. It is closed if it can be.
        every: Restore at every so many steps only, and at the end.

    Raises:
        AssertionError: Naming the first step at which something differs.
    """
    states, batches = _read(make(), None)
    for step in range(0, len(batches), every):
        where = f"restored after {step} batches"
        later_states, rest = _read(make(), states[step])
        assert len(rest) == len(batches) - step, f"{where}: {len(rest)} batches follow, not {len(batches) - step}"
        for at, (found, wanted) in enumerate(zip(rest, batches[step:], strict=True)):
            assert_same_batch(found, wanted, where=f"{where}, batch {step + at}")
        assert later_states == states[step:], f"{where}: the states that follow differ"
    _assert_end(make, states[-1])
    _assert_chain(make, states, batches)


def assert_same_batch(found: object, wanted: object, *, where: str = "batch") -> None:
    """Compare two batches exactly: keys, types, shapes, values to the bit, masks.

    Args:
        found: Dicts, lists, tuples, arrays, tensors (nested and on devices too), Arrow data, plain values.
        wanted: What it should be.
        where: Begins the message.

    Raises:
        AssertionError: Naming the first difference.
    """
    if isinstance(wanted, Mapping):
        assert isinstance(found, Mapping), f"{where}: expected a dict, found {type(found).__name__}"
        assert list(found) == list(wanted), f"{where}: columns {list(found)}, expected {list(wanted)}"
        for name, value in wanted.items():
            assert_same_batch(found[name], value, where=f"{where}, column {name}")
        return
    assert type(found) is type(wanted), f"{where}: found {type(found).__name__}, expected {type(wanted).__name__}"
    if isinstance(wanted, list | tuple):
        assert isinstance(found, list | tuple)
        assert len(found) == len(wanted), f"{where}: {len(found)} values, expected {len(wanted)}"
        for at, (one, other) in enumerate(zip(found, wanted, strict=True)):
            assert_same_batch(one, other, where=f"{where}, row {at}")
    elif hasattr(wanted, "is_nested"):
        _assert_same_tensor(found, wanted, where)
    elif hasattr(wanted, "to_pylist"):
        _assert_same_arrow(found, wanted, where)
    elif hasattr(wanted, "__array__"):
        _assert_same_array(found, wanted, where)
    else:
        is_nan = found != found and wanted != wanted
        assert is_nan or found == wanted, f"{where}: found {found!r}, expected {wanted!r}"


def _assert_same_tensor(found: Any, wanted: Any, where: str) -> None:
    """Compare tensors of torch, which is not imported here; with NaN equal to NaN."""
    kinds = [(each.dtype, each.device, each.layout) for each in (found, wanted)]
    assert kinds[0] == kinds[1], f"{where}: found {kinds[0]}, expected {kinds[1]}"
    if wanted.is_nested:
        assert_same_batch(list(found.unbind()), list(wanted.unbind()), where=where)
        return
    assert found.shape == wanted.shape, f"{where}: found {tuple(found.shape)}, expected {tuple(wanted.shape)}"
    is_same = (found == wanted) | ((found != found) & (wanted != wanted))
    rows = (~is_same).nonzero()[:, :1].flatten().unique().tolist() if wanted.ndim else []
    assert bool(is_same.all()), f"{where}: {int((~is_same).sum())} values differ, in rows {rows[:5]}"


def _assert_same_arrow(found: pa.Table, wanted: pa.Table, where: str) -> None:
    kinds = [getattr(each, "schema", None) or each.type for each in (found, wanted)]
    assert kinds[0] == kinds[1], f"{where}: found {kinds[0]}, expected {kinds[1]}"
    assert_same_batch(found.to_pylist(), wanted.to_pylist(), where=where)


def _assert_same_array(found: object, wanted: object, where: str) -> None:
    found, wanted = (each if isinstance(each, np.ma.MaskedArray) else np.asarray(each) for each in (found, wanted))
    mask_found, mask_wanted = np.ma.getmaskarray(found), np.ma.getmaskarray(wanted)
    one, other = np.ma.getdata(found), np.ma.getdata(wanted)
    assert (one.dtype, one.shape) == (other.dtype, other.shape), (
        f"{where}: found {one.dtype} {one.shape}, expected {other.dtype} {other.shape}"
    )
    np.testing.assert_array_equal(mask_found, mask_wanted, err_msg=f"{where}: nulls")
    if one.dtype.hasobject or one.tobytes() != other.tobytes():
        np.testing.assert_array_equal(one, other, err_msg=where)
        assert one.dtype.hasobject, f"{where}: the sign of a zero or the bits of a NaN differ"


def _read(reader: Resumable, state: Mapping[str, object] | None) -> tuple[list[dict[str, object]], list[object]]:
    """Return the states before the first and after each batch, and the batches."""
    try:
        if state is not None:
            reader.load_state_dict(json.loads(json.dumps(state)))
        states, batches = [_checked(reader.state_dict())], []
        for batch in reader:
            batches.append(batch)
            states.append(_checked(reader.state_dict()))
            assert states[-1].keys() == states[0].keys(), "the keys of the state change from step to step"
        return states, batches
    finally:
        _close(reader)


def _assert_end(make: Callable[[], R], state: Mapping[str, object]) -> None:
    _, rest = _read(make(), state)
    if not rest:
        return
    reader = make()
    try:
        for _ in reader:
            pass
        following = list(reader)
    finally:
        _close(reader)
    where = "restored at the end of the pass"
    assert len(rest) == len(following), f"{where}: {len(rest)} batches follow; the next pass has {len(following)}"
    for at, (found, wanted) in enumerate(zip(rest, following, strict=True)):
        assert_same_batch(found, wanted, where=f"{where}, batch {at} of the next one")


def _assert_chain(make: Callable[[], R], states: list[dict[str, object]], batches: list[object]) -> None:
    state = states[0]
    for at, wanted in enumerate(batches):
        reader = make()
        try:
            reader.load_state_dict(state)
            assert_same_batch(next(iter(reader)), wanted, where=f"restart {at}")
            state = _checked(reader.state_dict())
        finally:
            _close(reader)
        assert state == states[at + 1], f"restart {at}: the state differs from that of the undisturbed pass"


def _checked(state: dict[str, object]) -> dict[str, object]:
    size = len(json.dumps(state).encode())
    assert size <= STATE_LIMIT_BYTES, f"a state of {size} bytes, expected at most {STATE_LIMIT_BYTES}"
    return dict(state)


def _close(reader: object) -> None:
    close = getattr(reader, "close", None)
    if close is not None:
        close()
