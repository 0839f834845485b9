"""Several readers as one: how often each is drawn from, when it ends, and what may be mixed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from loaders.petastorm.ngram import NGram
from loaders.petastorm.unischema import Unischema, UnischemaField
from loaders.petastorm.weighted_sampling_reader import WeightedSamplingReader

SCHEMA = Unischema("S", [UnischemaField("id", np.int64, ())])


class Reader:
    """Gives its name `count` times."""

    def __init__(self, name=0, count=10**9, schema=SCHEMA, ngram=None, batched=False):
        self.name, self.count, self.schema, self.ngram, self.batched_output = name, count, schema, ngram, batched
        self.given, self.calls, self.last_row_consumed = 0, [], False

    def __next__(self):
        if self.given == self.count:
            self.last_row_consumed = True
            raise StopIteration
        self.given += 1
        return self.name

    def __len__(self):
        return self.count

    def reset(self):
        self.calls.append("reset")
        self.given, self.last_row_consumed = 0, False

    def stop(self):
        self.calls.append("stop")

    def join(self):
        self.calls.append("join")


def mixed(probabilities, seed=None, counts=None, take=1000):
    readers = [Reader(at, (counts or {}).get(at, 10**9)) for at in range(len(probabilities))]
    mixer = WeightedSamplingReader(readers, probabilities, seed=seed)
    return [item for _, item in zip(range(take), mixer, strict=False)], mixer


@pytest.mark.parametrize("probabilities", [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0, 0.0], [0, 0, 5]])
def test_readers_without_probability_are_never_drawn_from(probabilities):
    assert set(mixed(probabilities)[0]) == {int(np.argmax(probabilities))}


@pytest.mark.parametrize("probabilities", [[0.1, 0.5, 0.4], [1, 5, 4]])
def test_readers_are_drawn_from_in_proportion(probabilities):
    found = np.bincount(mixed(probabilities, seed=3, take=5000)[0]) / 5000
    np.testing.assert_allclose(found, [0.1, 0.5, 0.4], atol=0.03)


def test_the_same_seed_draws_the_same():
    draws = [mixed([0.5, 0.5], seed=seed)[0] for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    np.random.seed(8)
    first = mixed([0.5, 0.5])[0]
    np.random.seed(8)
    assert mixed([0.5, 0.5])[0] == first


def test_it_ends_with_the_first_reader_that_ends_and_begins_again():
    found, mixer = mixed([0.5, 0.5], seed=1, counts={1: 20})
    assert found.count(1) == 20
    assert mixer.last_row_consumed
    mixer.reset()
    assert not mixer.last_row_consumed
    assert list(mixer).count(1) == 20


def test_it_stands_for_a_reader():
    readers = [Reader(count=3), Reader(count=4)]
    with WeightedSamplingReader(readers, [1, 1]) as mixer:
        assert iter(mixer) is mixer
        assert mixer.next() == 0
        assert (mixer.schema, mixer.ngram, mixer.batched_output, len(mixer)) == (SCHEMA, None, False, 7)
    assert [reader.calls for reader in readers] == [["stop", "join"]] * 2


def test_all_readers_are_stopped_even_if_one_cannot():
    broken, whole = Reader(), Reader()
    broken.stop = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError), WeightedSamplingReader([broken, whole], [1, 1]):
        pass
    assert whole.calls == ["stop", "join"]
    assert broken.calls == ["join"]


def test_readers_that_do_not_go_together_are_refused():
    other = SimpleNamespace(fields={"id": 0, "more": 0})
    window = NGram({0: ["id"]}, 1, "id")
    for wrong, what in (
        (Reader(batched=True), "batched_output"),
        (Reader(schema=other), "schema"),
        (Reader(ngram=window), "ngram"),
    ):
        with pytest.raises(ValueError, match=f"should have the same .*{what}"):
            WeightedSamplingReader([Reader(), wrong], [1, 1])
    with pytest.raises(ValueError, match="same ngram"):
        WeightedSamplingReader([Reader(ngram=window), Reader(ngram=NGram({1: ["id"]}, 1, "id"))], [1, 1])
    WeightedSamplingReader([Reader(ngram=window), Reader(ngram=NGram({0: ["id"]}, 2, "id"))], [1, 1])


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"Two or more readers must be specified. Got 1."):
        WeightedSamplingReader([Reader()], [1])
    with pytest.raises(ValueError, match="lists of the same length"):
        WeightedSamplingReader([Reader(), Reader()], [1])
    for wrong in ([0, 0], [-1, 2], [float("nan"), 1]):
        with pytest.raises(ValueError, match="probabilities must be numbers from 0 on"):
            WeightedSamplingReader([Reader(), Reader()], wrong)
