"""The check that is shipped to users finds readers that break the promise."""

from __future__ import annotations

import numpy as np
import pytest

from loaders.testing import assert_resumes_exactly, assert_same_batch


class Counter:
    """Gives 0 ... 5; `replay` batches are repeated after a restore, `forget` ones left out."""

    def __init__(self, *, replay=0, forget=0, state_size=0):
        self.at, self.shift, self.padding = 0, forget - replay, "x" * state_size

    def __iter__(self):
        while self.at < 6:
            self.at += 1
            yield {"number": np.array([self.at - 1])}

    def state_dict(self):
        return {"at": self.at, "padding": self.padding}

    def load_state_dict(self, state):
        self.at = max(0, state["at"] + self.shift) if state["at"] else 0


def test_a_reader_that_keeps_the_promise_passes():
    assert_resumes_exactly(Counter)


@pytest.mark.parametrize(
    ("broken", "message"),
    [({"replay": 1}, "6 batches follow, not 5"), ({"forget": 1}, "4 batches follow, not 5"),
     ({"state_size": 2000}, "a state of 20.. bytes")],
)  # fmt: skip
def test_a_reader_that_breaks_it_fails_and_says_where(broken, message):
    with pytest.raises(AssertionError, match=message):
        assert_resumes_exactly(lambda: Counter(**broken))


def test_batches_are_compared_by_type_shape_value_and_null():
    base = {"a": np.array([1, 2]), "b": ["x", None], "c": np.ma.MaskedArray([1.0, np.nan], mask=[True, False])}
    assert_same_batch(dict(base), base)
    for change in (
        {"a": np.array([1, 3])},
        {"a": np.array([1, 2], dtype=np.int32)},
        {"a": np.array([[1, 2]])},
        {"b": ["x", ""]},
        {"c": np.ma.MaskedArray([1.0, np.nan], mask=[False, False])},
    ):
        with pytest.raises(AssertionError):
            assert_same_batch({**base, **change}, base)
    with pytest.raises(AssertionError, match="columns"):
        assert_same_batch({"a": base["a"]}, base)
