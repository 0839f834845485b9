"""The check that is shipped to users finds readers that break the promise."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from loaders import Field, Layout, Shuffle, make_reader, write_dataset
from loaders.testing import assert_resumes_exactly, assert_same_batch


class Counter:
    """Gives 0 ... 5; `replay` batches are repeated after a restore, `forget` ones left out.

    With `begins_anew` a pass that is over is followed by 6 ... 11, and so on; `loses` by 7 ... 11 after a restore.
    """

    def __init__(self, *, replay=0, forget=0, state_size=0, begins_anew=False, loses=False):
        self.at, self.shift, self.padding = 0, forget - replay, "x" * state_size
        self.begins_anew, self.loses, self.end = begins_anew, loses, 6

    def __iter__(self):
        if self.at == self.end and self.begins_anew:
            self.end += 6
        while self.at < self.end:
            self.at += 1
            yield {"number": np.array([self.at - 1])}

    def state_dict(self):
        return {"at": self.at, "padding": self.padding}

    def load_state_dict(self, state):
        self.at = max(0, state["at"] + self.shift) if state["at"] else 0
        self.at += self.loses and self.at == 6
        self.end = 12 if self.at > 6 else 6


@pytest.mark.parametrize("every", [1, 4, 99])
@pytest.mark.parametrize("begins_anew", [False, True])
def test_a_reader_that_keeps_the_promise_passes(begins_anew, every):
    assert_resumes_exactly(lambda: Counter(begins_anew=begins_anew), every=every)


@pytest.mark.parametrize(
    ("broken", "message"),
    [({"replay": 1}, "6 batches follow, not 5"), ({"forget": 1}, "4 batches follow, not 5"),
     ({"state_size": 2000}, "a state of 20.. bytes"),
     ({"begins_anew": True, "loses": True}, "the end of the pass: 5 batches follow; the next pass has 6")],
)  # fmt: skip
def test_a_reader_that_breaks_it_fails_and_says_where(broken, message):
    with pytest.raises(AssertionError, match=message):
        assert_resumes_exactly(lambda: Counter(**broken))


def test_batches_are_compared_by_type_shape_value_and_null():
    base = {"a": np.array([1, 2]), "b": ["x", None], "c": np.ma.MaskedArray([1.0, np.nan], mask=[True, False]),
            "d": np.zeros(1), "e": (1, float("nan"))}  # fmt: skip
    assert_same_batch(dict(base), base)
    for change in (
        {"a": np.array([1, 3])},
        {"a": np.array([1, 2], dtype=np.int32)},
        {"a": np.array([[1, 2]])},
        {"b": ["x", ""]},
        {"c": np.ma.MaskedArray([1.0, np.nan], mask=[False, False])},
        {"c": np.array([1.0, np.nan])},
        {"d": -0.0 * np.ones(1)},
        {"e": (1, True)},
        {"e": (1, 2.5, 3)},
        {"e": [1, float("nan")]},
    ):
        with pytest.raises(AssertionError):
            assert_same_batch({**base, **change}, base)
    with pytest.raises(AssertionError, match="columns"):
        assert_same_batch({"a": base["a"]}, base)


def test_arrow_batches_are_compared_by_type_value_and_null():
    batch = pa.record_batch({"a": pa.array([1.5, float("nan"), None]), "b": [["x"], None, []]})
    assert_same_batch(batch.slice(0), batch)
    for other in (
        batch.slice(1),
        batch.rename_columns(["a", "c"]),
        batch.set_column(0, "a", pa.array([1.5, 2.5, None])),
        batch.set_column(0, "a", pa.array([1.5, None, None])),
        batch.set_column(0, "a", pa.array([1.5, 0.0, None], pa.float32())),
    ):
        with pytest.raises(AssertionError):
            assert_same_batch(other, batch)


@pytest.mark.torch
def test_tensors_are_compared_dense_and_nested():
    torch = pytest.importorskip("torch")

    def nested(*lengths, dtype=torch.float32):
        return torch.nested.nested_tensor([torch.arange(n).to(dtype) for n in lengths], layout=torch.jagged)

    base = {"a": torch.tensor([[1.0, float("nan")], [2.0, 3.0]]), "b": nested(2, 0, 3),
            "c": [torch.ones(2), torch.ones(3)], "d": torch.ones(2, dtype=torch.bfloat16, requires_grad=True),
            "e": torch.tensor(3)}  # fmt: skip
    same = {"a": base["a"].clone(), "b": nested(2, 0, 3), "c": [torch.ones(2), torch.ones(3)],
            "d": torch.ones(2, dtype=torch.bfloat16), "e": torch.tensor(3)}  # fmt: skip
    assert_same_batch(same, base)
    for change in (
        {"a": torch.tensor([[1.0, float("nan")], [2.0, 4.0]])}, {"a": base["a"].double()}, {"a": base["a"][:1]},
        {"a": base["a"].numpy()}, {"b": nested(2, 1, 3)}, {"b": nested(2, 0, 3, dtype=torch.float64)},
        {"b": list(nested(2, 0, 3).unbind())}, {"c": [torch.ones(2), torch.zeros(3)]}, {"e": torch.tensor(4)},
    ):  # fmt: skip
        with pytest.raises(AssertionError):
            assert_same_batch({**same, **change}, base)
    with pytest.raises(AssertionError, match="column a: 1 values differ, in rows \\[1\\]"):
        assert_same_batch({**same, "a": torch.tensor([[1.0, float("nan")], [2.0, 4.0]])}, base)


@pytest.mark.torch
@pytest.mark.parametrize("how", ["pad", "nested", "list"])
def test_a_reader_of_tensors_passes_at_every_step_and_at_the_end(tmp_path, how):
    pytest.importorskip("torch")
    from loaders.torch import tensors

    fields = (Field("tokens", pa.list_(pa.int32())), Field("number", pa.int64()))
    rows = [{"entity_id": f"{n:03d}", "number": n, "tokens": list(range(n % 5))} for n in range(41)]
    write_dataset(rows, fields, tmp_path / "v1", layout=Layout(size_column=None, row_group_bytes=400))

    def make():
        reader = make_reader(tmp_path / "v1" / "train", batch_size=8, shuffle=Shuffle(seed=1), epochs=2)
        return tensors(reader, ragged={"tokens": how})

    assert_resumes_exactly(make)
