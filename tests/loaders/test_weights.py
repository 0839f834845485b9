"""Draws by weight: as often as weights say, the same for all ranks, workers and restarts, and never what weighs 0."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders import (
    Field,
    FormatError,
    Layout,
    ReadOptions,
    Sequence,
    Shard,
    Shuffle,
    StateMismatchError,
    Weights,
    make_reader,
    mix,
    read_manifest,
    write_dataset,
)
from loaders.ordering.epochs import ByWeight
from loaders.ordering.order import EpochOrder, random_words, stream_key
from loaders.ordering.selection import Selection
from loaders.ordering.weights import read_draws
from loaders.testing import assert_resumes_exactly, assert_same_batch
from schemas.canonical import canonical_json, sha256_text
from tests.lanes import examples

FIELDS = (
    Field("number", pa.int64()),
    Field("clip", pa.int64()),
    Field("weight", pa.float64(), nullable=True),
    Field("whole", pa.int32()),
    Field("zero", pa.float32()),
    Field("bad", pa.float64(), nullable=True),
    Field("note", pa.string()),
)
ROWS = 300
INLINE = ReadOptions(pool="inline")


def weight_of(number: int) -> float:
    """A third weighs 0; one in ten of the others weighs 9, else 1."""
    return 0.0 if number % 3 == 0 else 9.0 if number % 10 == 1 else 1.0


def written(folder: Path, *, split: str = "train", bad: float | None = 1.0) -> Path:
    rows: list[dict[str, Any]] = [
        {"entity_id": f"{at:04d}", "number": at, "clip": at // 6, "weight": weight_of(at), "whole": at % 4, "zero": 0.0,
         "bad": bad if at == 17 else 1.0, "note": f"n{at}"}
        for at in range(ROWS)
    ]  # fmt: skip
    layout = Layout(sequence_column="clip", order_column="number", row_group_bytes=900, part_bytes=9_000)
    write_dataset(rows, FIELDS, folder, seed=3, layout=layout)
    return folder / split


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return written(tmp_path_factory.mktemp("weights") / "v1")


def reader(folder: Path, *, batch_size: int = 16, seed: int = 5, lanes: int | None = 4, **more: Any):
    more = {"weights": "weight", "options": INLINE, **more}
    return make_reader(folder, batch_size=batch_size, shuffle=Shuffle(seed=seed, lanes=lanes, window=2), **more)


def drawn(folder: Path, **more: Any) -> list[int]:
    with reader(folder, **more) as read:
        return [int(n) for batch in read for n in batch["number"][~batch["is_pad"]]]


def test_shares_follow_the_weights_and_weight_zero_is_never_drawn(folder):
    epochs = 40
    counts = Counter(drawn(folder, epochs=epochs, columns=["number"]))
    weights = np.array([weight_of(n) for n in range(ROWS)])
    found = np.array([counts[n] for n in range(ROWS)])
    assert found.sum() == epochs * ROWS
    assert not found[weights == 0].any()
    wanted = weights / weights.sum() * epochs * ROWS
    some = weights > 0
    chi_square = float((((found - wanted) ** 2)[some] / wanted[some]).sum())
    freedom = int(some.sum()) - 1
    # Draws of a row group are settled, so that the statistic is a little below its mean; 5 deviations either way.
    assert abs(chi_square - freedom) < 5 * (2 * freedom) ** 0.5 + 40, (chi_square, freedom)
    heavy = weights == 9
    assert found[heavy].sum() / found.sum() == pytest.approx(weights[heavy].sum() / weights.sum(), abs=0.02)


def test_an_epoch_is_the_one_that_the_contract_words(folder):
    manifest = read_manifest(folder)
    count = 77
    name = sha256_text(canonical_json(["weights", manifest.fingerprint, "weight", count]))
    with make_reader(folder, batch_size=1, columns=["weight"], options=INLINE) as plain:
        rows = [float(batch["weight"][0]) for batch in plain]
    starts = np.cumsum([0, *manifest.row_groups])
    groups = [rows[a:b] for a, b in pairwise(starts)]
    unit = [int(word) >> 11 for word in random_words(stream_key(name, 5, 1, "share"), [0])]
    words = random_words(stream_key(name, 5, 1, "draws"), np.arange(count)).tolist()
    before, total, wanted, number = 0.0, sum(map(sum, groups)), [], 0
    for group in groups:
        before += sum(group)
        end = int(np.ceil(before / total * count - unit[0] / 2**53))
        own = []
        while number < end:
            target, at, running = (words[number] >> 11) / 2**53 * sum(group), 0, group[0]
            while running <= target:
                at, running = at + 1, running + group[at + 1]
            own.append(at)
            number += 1
        wanted.append(own)
    selection = Selection(manifest.row_groups, 1, manifest.fingerprint)
    tables = [pa.table({"weight": group}) for group in groups]
    found = read_draws(Weights(draws=count), FIELDS, selection, read_columns=lambda group, _: tables[group]).epoch(5, 1)
    assert [each.tolist() for each in np.split(found.samples, found.starts[1:])] == wanted
    assert found.counts.tolist() == [len(each) for each in wanted]


def test_golden_draws():
    """ORDER.md, "Golden values"."""
    weights = [[1.0, 0.0, 2.0], [0.0, 0.0], [4.0, 1.0, 0.5, 0.5], [1.0]]
    selection = Selection((3, 2, 4, 1), 1, "0123456789abcdef" * 4)
    tables = [pa.table({"weight": group}) for group in weights]
    draws = read_draws(Weights(draws=7), FIELDS, selection, read_columns=lambda group, _: tables[group])
    assert draws.fingerprint == "6985d793da7dfb9e038d8fbda139ac0336f2a9f8d7d1be885271edb5670b6d37"
    found = [(draws.epoch(7, epoch).counts.tolist(), draws.epoch(7, epoch).samples.tolist()) for epoch in (0, 1)]
    assert found == [([2, 0, 4, 1], [0, 2, 0, 1, 0, 0, 0]), ([2, 0, 5, 0], [2, 0, 1, 0, 0, 0, 0])]
    for epoch in range(50):
        counts = draws.epoch(7, epoch).counts.tolist()
        assert sum(counts) == 7
        bounds = zip(draws.fewest, counts, draws.most, strict=True)
        assert all(count == 0 or low <= count <= high for low, count, high in bounds)


def test_all_ranks_together_draw_the_same_for_every_number_of_ranks_and_pool(folder):
    options = {"threads": ReadOptions(workers=3, prefetch=3), "processes": ReadOptions(pool="processes", workers=1)}
    with reader(folder, epochs=2) as whole:
        wanted = list(whole)
    assert len(wanted) == 2 * -(-ROWS // 16)
    with reader(folder, epochs=2, options=options["threads"]) as threaded:
        for at, batch in enumerate(threaded):
            assert_same_batch(batch, wanted[at])
    for world in (2, 4):
        ranks = []
        for rank in range(world):
            with reader(folder, epochs=2, batch_size=16 // world, shard=Shard(rank, world)) as one:
                ranks.append([batch["number"].tolist() for batch in one])
        for step, batch in enumerate(wanted):
            lanes = batch["number"].reshape(-1, 4)  # (rows of a lane, lanes)
            found = np.concatenate([np.reshape(each[step], (-1, 4 // world)) for each in ranks], axis=1)
            assert found.tolist() == lanes.tolist()


def test_it_goes_on_at_every_step_exactly(folder):
    assert_resumes_exactly(lambda: reader(folder, batch_size=64, epochs=2), every=3)


def test_a_draw_has_a_seed_of_its_own(folder):
    with reader(folder, columns=["number"], options=ReadOptions(pool="inline", sample_seeds=True)) as read:
        batches = list(read)
    real = [~batch["is_pad"] for batch in batches]
    seeds = np.concatenate([batch["_sample_seed"][keep] for batch, keep in zip(batches, real, strict=True)])
    numbers = np.concatenate([batch["number"][keep] for batch, keep in zip(batches, real, strict=True)])
    assert len(set(numbers.tolist())) < len(numbers) == len(set(seeds.tolist()))


def test_more_or_fewer_draws_than_samples(folder):
    assert len(drawn(folder, weights=Weights("whole", draws=1_000))) == 1_000
    few = drawn(folder, weights=Weights("whole", draws=3), epochs=30, batch_size=4)
    assert len(few) == 3 * 30
    assert len(set(few)) > 50, "small epochs draw from everything"
    assert all(n % 4 for n in few)


def test_weights_of_what_filter_and_sequence_leave(folder):
    assert {n for n in drawn(folder, filter=[("number", "<", 30)], epochs=4)} <= {n for n in range(30) if n % 3}
    with reader(folder, weights="whole", sequence=Sequence(length=2, by="clip", order="number"), epochs=3) as pairs:
        firsts = {int(pair[0]) for batch in pairs for pair in batch["number"]}
    assert firsts
    assert all(first % 4 for first in firsts), "the weight of the first row counts"


def test_what_is_no_weight_is_refused(folder, tmp_path):
    for at, (bad, what) in enumerate([(-1.0, "-1.0"), (float("nan"), "nan"), (None, "null")]):
        other = written(tmp_path / str(at), bad=bad)
        with pytest.raises(FormatError, match=f"has {what} in column 'bad'"):
            reader(other, weights="bad")
        assert drawn(other, weights="bad", filter=[("number", ">", 17)]), "what is left out has no weight"
    for column, words in {
        "zero": "all weights are 0 in column 'zero' of 300 samples", "note": "is raw of string, expected numbers",
        "nothing": "there is no column 'nothing'",
    }.items():  # fmt: skip
        with pytest.raises(FormatError, match=words):
            reader(folder, weights=column)
    with pytest.raises(FormatError, match="weights need a shuffle"):
        make_reader(folder, batch_size=4, weights="weight")
    with pytest.raises(FormatError, match="weights must be the name of a column"):
        reader(folder, weights=[1.0, 2.0])
    for draws in (0, -1, 2.5, True):
        with pytest.raises(FormatError, match="draws of an epoch"):
            Weights(draws=draws)  # type: ignore[arg-type]


def test_states_of_other_weights_are_refused(folder):
    with reader(folder) as read:
        next(read)
        state = read.state_dict()
        assert state["contract"] == "petrel-draws-1"
    for more in ({"weights": "whole"}, {"weights": Weights(draws=299)}, {"weights": None}):
        with reader(folder, **more) as other, pytest.raises(StateMismatchError):
            other.load_state_dict(state)


def test_tiny_weights_and_huge_ones_stay_in_range():
    for values in ([5e-324, 5e-324, 0.0], [1e308, 1e-300, 0.0], [0.0, 1e-320, 0.0]):
        draws = read_draws(
            Weights(draws=2_000), FIELDS, Selection((3,), 1, "f" * 64),
            read_columns=lambda group, _, values=values: pa.table({"weight": values}),
        )  # fmt: skip
        assert {values[at] > 0 for at in draws.epoch(1, 0).samples} == {True}
    with pytest.raises(FormatError, match="more than a float holds"):
        read_draws(Weights(), FIELDS, Selection((2,), 1, "f" * 64),
                   read_columns=lambda group, _: pa.table({"weight": [1e308, 1e308]}))  # fmt: skip


def test_a_mixture_of_what_is_drawn_and_what_is_not(folder):
    with reader(folder, epochs=None) as one, make_reader(
        folder, batch_size=16, shuffle=Shuffle(seed=1, lanes=4), epochs=None, options=INLINE
    ) as two:
        mixed = mix({"drawn": one, "all": two}, weights={"drawn": 0.5, "all": 0.5}, batch_size=16, seed=2)
        assert len(next(mixed)["number"]) == 16


@settings(max_examples=examples(25, long=400))
@given(st.data())
def test_no_epoch_opens_more_row_groups_than_was_announced(data):
    count = data.draw(st.integers(1, 9))
    rows = data.draw(st.lists(st.integers(1, 6), min_size=count, max_size=count))
    levels = st.sampled_from([0.0, 0.1, 1.0, 30.0])
    weights = [data.draw(st.lists(levels, min_size=n, max_size=n)) for n in rows]
    weights[0][0] = 1.0
    strata = sorted(data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)))
    selection = Selection(tuple(rows), 1, "f" * 64)
    fields = (Field("weight", pa.float64()),)
    draws = read_draws(
        Weights(draws=data.draw(st.integers(1, 60))), fields, selection,
        read_columns=lambda group, _: pa.table({"weight": weights[group]}),
    )  # fmt: skip
    epochs = ByWeight(selection, draws, strata)
    lanes, window = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    for epoch in range(4):
        samples = epochs.epoch(5, epoch)
        assert sum(samples.counts) == epochs.samples
        order = EpochOrder(samples.counts, epochs.fingerprint, 5, epoch, lanes, window, samples.strata)
        assert sorted(order.sequence().tolist()) == list(range(epochs.samples)), "each draw once"
        for lane in range(lanes):
            for each in order.windows(lane):
                open_now = {group for group, _, _ in each.pieces}
                assert len(open_now) <= epochs.open_groups(lanes=1, window=window, deep=1)
        groups = np.repeat(samples.groups, samples.counts)
        numbers = np.concatenate([np.arange(n) for n in samples.counts])
        for group, row in zip(groups.tolist(), samples.rows(groups, numbers)[:, 0].tolist(), strict=True):
            assert weights[group][row] > 0
