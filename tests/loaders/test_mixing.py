"""Mixtures: exact shares, the readers' own order, the same rows on any number of ranks, resumed anywhere."""

from __future__ import annotations

import io
import itertools
import json
import random
import threading
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from loaders import (
    DeadlineError,
    Field,
    FormatError,
    Layout,
    ReadOptions,
    Shard,
    Shuffle,
    StateMismatchError,
    TransformError,
    make_reader,
    plan_dataset,
    publish,
    run_task,
    write_dataset,
)
from loaders.errors import RankMismatchError
from loaders.mixing.mix import mix
from loaders.mixing.shares import Shares, whole_parts
from loaders.ordering.order import permutation, stream_key
from loaders.testing import assert_resumes_exactly, assert_same_batch

FIELDS = (
    Field("entity_id", pa.string()),
    Field("n", pa.int64()),
    Field("maybe", pa.float64(), nullable=True),
    Field("vector", pa.list_(pa.float32()), shape=(2,)),
    Field("ragged", pa.list_(pa.int64())),
)
SIZES = {"a": 61, "b": 24, "c": 9}
OFFSET = {"a": 0, "b": 1000, "c": 2000}
WEIGHTS = {"a": 0.6, "b": 0.3, "c": 0.1}


def rows_of(name):
    return [
        {"entity_id": f"{name}{n:03d}", "n": OFFSET[name] + n, "maybe": None if n % 3 == 0 else n / 2,
         "vector": [n, OFFSET[name]], "ragged": list(range(n % 4))}
        for n in range(SIZES[name])
    ]  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("mixed")
    for name in SIZES:
        write_dataset(rows_of(name), FIELDS, root / name, layout=Layout(row_group_bytes=600))
    return {name: root / name / "train" for name in SIZES}


@pytest.fixture
def opened():
    """Everything that a test opens, closed at its end."""
    readers = []
    yield readers
    for reader in readers:
        reader.close()


@pytest.fixture
def mixed(folders, opened):
    """Return a function that makes a mixture of the three datasets, with global batches as they are asked for."""

    def make(*, total=12, world=1, rank=0, names="abc", weights=WEIGHTS, sub=4, inner=None, options=None, **settings):
        shard, shuffle = Shard(rank, world), Shuffle(seed=5, window=2, lanes=inner or max(4, world))
        readers = {
            name: make_reader(folders[name], batch_size=sub // world, shuffle=shuffle, shard=shard,
                              options=options or ReadOptions(pool="inline"))
            for name in names
        }  # fmt: skip
        settings.setdefault("seed", 9)
        reader = mix(readers, weights={name: weights[name] for name in names}, batch_size=total // world,
                     shard=shard, **settings)  # fmt: skip
        opened.append(reader)
        return reader

    return make


def name_of(number):
    return "abc"[number // 1000]


def test_after_every_number_of_units_each_dataset_gave_its_share():
    chance = random.Random(1)
    for _ in range(100):
        shares = Shares(tuple(chance.choice([1, chance.randint(1, 60)]) for _ in range(chance.randint(1, 12))))
        given = np.cumsum(np.eye(len(shares.parts), dtype=int)[shares.table], axis=0)
        ideal = np.arange(1, shares.period + 1)[:, None] * np.array(shares.parts)
        assert (np.abs(given * shares.period - ideal) < shares.period).all()
        assert given[-1].tolist() == list(shares.parts)
        for units in (0, 1, shares.period - 1, shares.period, 7 * shares.period + 3):
            givers = shares.givers(0, units)
            assert shares.given(units) == np.bincount(givers, minlength=len(shares.parts)).tolist()
        for dataset, part in enumerate(shares.parts):
            for turn in (0, part, 2 * part + part // 2):
                unit = shares.unit_of(dataset, turn)
                assert shares.given(unit)[dataset] == turn
                assert shares.givers(unit, unit + 1).tolist() == [dataset]


def test_the_golden_values_of_order_md():
    assert Shares((7, 3)).table.tolist() == [0, 0, 1, 0, 0, 1, 0, 0, 0, 1]
    assert stream_key("mix", 9, 0) == 0x7CA3913493450314
    assert permutation(stream_key("mix", 9, 0), 6).tolist() == [1, 3, 5, 4, 2, 0]
    assert Shares((1,)).table.tolist() == [0]
    assert Shares((6, 3, 1)).givers(8, 14).tolist() == [0, 2, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("weights", "parts"),
    [
        ({"a": 0.7, "b": 1 - 0.7}, (7, 3)),
        ({"a": 1 / 3, "b": 2 / 3}, (1, 2)),
        ({"a": 4, "b": 2}, (2, 1)),
        ({"a": Fraction(1, 6), "b": 0.5}, (1, 3)),
        ({"a": 1.0, "b": 0.001}, (1000, 1)),
    ],
)
def test_weights_are_the_fractions_that_were_meant(weights, parts):
    assert whole_parts(weights, ["a", "b"]).parts == parts


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"a": 1}, r"weights are for \['a'\], the readers are \['a', 'b'\]"),
        ({"a": 1, "b": 0}, "weight of b: a positive number is needed, found 0; leave the reader out"),
        ({"a": 1, "b": float("nan")}, "weight of b: a positive number"),
        ({"a": True, "b": 1}, "weight of a: a positive number"),
        ({"a": 0.123456789, "b": 0.5}, "parts to be exact, at most 100000 are possible"),
    ],
)
def test_weights_that_cannot_be_met_exactly_are_refused(weights, message):
    with pytest.raises(FormatError, match=message):
        whole_parts(weights, ["a", "b"])


def test_batches_hold_exact_shares_and_whole_rows(mixed):
    reader = mixed(steps=10)
    assert len(reader) == reader.steps_per_epoch == 10
    assert reader.shares == {"a": Fraction(3, 5), "b": Fraction(3, 10), "c": Fraction(1, 10)}
    batches = list(reader)
    numbers = np.concatenate([batch["n"] for batch in batches])
    for count in range(12, 121, 12):
        for name, share in reader.shares.items():
            assert abs(sum(name_of(n) == name for n in numbers[:count]) - count * share) < 1
    source = {row["n"]: row for name in SIZES for row in rows_of(name)}
    for batch in batches:
        assert sorted(batch) == ["entity_id", "is_pad", "maybe", "n", "ragged", "vector"]
        assert not batch["is_pad"].any()
        for at, number in enumerate(batch["n"].tolist()):
            row = source[number]
            assert batch["entity_id"][at] == row["entity_id"]
            assert (None if batch["maybe"].mask[at] else batch["maybe"][at]) == row["maybe"]
            assert batch["vector"][at].tolist() == row["vector"]
            assert batch["ragged"][at].tolist() == row["ragged"]


def test_each_dataset_keeps_its_own_order_and_its_own_epochs(mixed, folders):
    reader = mixed(steps=40, total=10)
    numbers = np.concatenate([batch["n"] for batch in reader]).tolist()
    for name, size in SIZES.items():
        found = [number for number in numbers if name_of(number) == name]
        with make_reader(folders[name], batch_size=4, shuffle=Shuffle(seed=5, window=2, lanes=4)) as alone:
            epochs = [[int(n) for batch in alone for n in batch["n"][~batch["is_pad"]]] for _ in range(9)]
        # Rows are put in order inside a batch: compare as sets, a batch's worth at a time.
        expected = list(itertools.chain.from_iterable(epochs))[: len(found)]
        counts = np.cumsum([0, *(sum(name_of(n) == name for n in numbers[at : at + 10]) for at in range(0, 400, 10))])
        for first, last in itertools.pairwise(counts.tolist()):
            assert sorted(found[first:last]) == sorted(expected[first:last])
        assert all(sorted(epoch) == [OFFSET[name] + n for n in range(size)] for epoch in epochs)


def test_rows_of_a_batch_are_shuffled_by_the_seed(mixed):
    first, again, other = (next(mixed(seed=seed, total=20)) for seed in (1, 1, 2))
    assert_same_batch(first, again)
    assert sorted(first["n"]) == sorted(other["n"])
    assert first["n"].tolist() != other["n"].tolist()
    assert [name_of(n) for n in first["n"]] != sorted(name_of(n) for n in first["n"])


def test_a_mixture_resumes_exactly_at_every_step(mixed):
    assert_resumes_exactly(lambda: mixed(steps=14, total=6))


def test_the_next_pass_goes_on_and_resumes_too(mixed):
    whole = mixed(steps=12)
    expected = list(whole)
    reader = mixed(steps=4)
    for epoch in range(3):
        assert (reader.epoch, reader.step) == (epoch, 0)
        for at, batch in enumerate(reader):
            assert_same_batch(batch, expected[epoch * 4 + at])
    moved = mixed(steps=4)
    moved.set_epoch(2)
    assert_same_batch(next(moved), expected[8])
    moved.set_epoch(1)
    assert_same_batch(next(moved), expected[4])
    with pytest.raises(FormatError, match="counted from 0"):
        moved.set_epoch(-1)
    state = json.loads(json.dumps(moved.state_dict()))
    assert (state["epoch"], state["step"]) == (1, 1)
    assert len(json.dumps(state)) < 1024 + 1024 * 3
    fresh = mixed(steps=4)
    fresh.load_state_dict(state)
    assert_same_batch(next(fresh), expected[5])
    assert whole.state_dict() != state


@pytest.mark.parametrize(("saved_at", "inner"), [(1, 4), (6, 8)])
def test_any_number_of_ranks_reads_the_same_rows_and_continues_each_others_states(mixed, saved_at, inner):
    def together(world, steps, states=None, lanes=4):
        readers = [mixed(total=16, world=world, rank=rank, lanes=lanes, sub=8, inner=inner) for rank in range(world)]
        for reader in readers:
            if states:
                reader.load_state_dict(states)
        batches = [[next(reader)["n"].reshape(-1, 4 // world) for reader in readers] for _ in range(steps)]
        assert len({json.dumps(reader.state_dict(), sort_keys=True) for reader in readers}) == 1
        # A rank's batch is (units, its lanes): side by side they are the units of all lanes.
        return [np.concatenate(parts, axis=1).tolist() for parts in batches], readers[0].state_dict()

    expected, _ = together(1, 10)
    for world in (1, 2, 4):
        found, state = together(world, saved_at)
        assert found == expected[:saved_at]
        for later in (1, 2, 4):
            rest, _ = together(later, 10 - saved_at, state, lanes=None)
            assert rest == expected[saved_at:], (world, later)


def test_every_rank_gets_the_same_mixture_and_every_lane_exact_shares(mixed):
    readers = [mixed(total=24, world=2, rank=rank, sub=8, inner=8) for rank in range(2)]
    for step in range(20):
        one, two = (next(reader)["n"] for reader in readers)
        assert [name_of(n) for n in one] == [name_of(n) for n in two]
        is_first_epoch = step < 2
        assert not (is_first_epoch and set(one.tolist()) & set(two.tolist()))


def test_on_one_rank_every_row_of_an_epoch_is_delivered_on_several_lanes_whole_batches(mixed):
    reader = mixed(names="b", total=8, steps=3, sub=7, inner=7)
    assert sorted(np.concatenate([batch["n"] for batch in reader]).tolist()) == [1000 + n for n in range(24)]
    lanes = mixed(names="b", total=8, steps=6, sub=10, inner=2, lanes=2)
    numbers = np.concatenate([batch["n"] for batch in lanes]).tolist()
    assert len(set(numbers[:20])) == len(set(numbers[20:40])) == 20, "24 rows are two whole batches of 10"
    for options in (ReadOptions(pool="inline", tail="ragged"), ReadOptions(pool="inline", tail="drop")):
        rows = 24 if options.tail == "ragged" else 20
        reader = mixed(names="b", total=4, steps=2 * rows // 4, sub=10, inner=2, options=options)
        numbers = np.concatenate([batch["n"] for batch in reader]).tolist()
        assert len(set(numbers[:rows])) == len(set(numbers[rows:])) == rows


def test_a_pass_can_end_with_the_first_or_the_last_dataset(mixed):
    unending = np.concatenate([batch["n"] for batch in itertools.islice(mixed(), 20)]).tolist()
    numbers = np.concatenate([batch["n"] for batch in mixed(stop="first")]).tolist()
    assert len(set(numbers)) == len(numbers), "no dataset begins its second epoch"
    one_more = unending[: len(numbers) + 12]
    assert numbers == one_more[:-12]
    assert len(set(one_more)) < len(one_more)
    every = mixed(stop="all")
    numbers = np.concatenate([batch["n"] for batch in every]).tolist()
    assert len(set(numbers)) == sum(SIZES.values())
    before_the_last = set(numbers[:-12])
    assert len(before_the_last) < sum(SIZES.values())
    endless = mixed()
    assert endless.steps_per_epoch is None
    with pytest.raises(TypeError, match="no length"):
        len(endless)
    assert len(list(itertools.islice(endless, 50))) == 50


def test_another_mixture_refuses_the_state_and_stays_where_it_is(mixed, folders, opened):
    reader = mixed(steps=9)
    next(reader)
    state = reader.state_dict()
    cases = [
        (lambda: mixed(steps=9, seed=8), "seed was 9, here it is 8"),
        (lambda: mixed(steps=8), "steps_per_epoch was 9, here it is 8"),
        (lambda: mixed(steps=9, total=24), "global_batch was 12, here it is 24"),
        (lambda: mixed(steps=9, weights={"a": 1, "b": 1, "c": 1}), "shares was"),
        (lambda: mixed(steps=9, names="ab"), "shares was"),
        (lambda: mixed(steps=9, lanes=2), "lanes was 1, here it is 2"),
        (lambda: mixed(steps=9, sub=8), "a: reader state: global_batch was 4"),
    ]
    for make, message in cases:
        other = make()
        wanted = [next(other)["n"].tolist(), next(other)["n"].tolist()]
        other.set_epoch(0)
        assert next(other)["n"].tolist() == wanted[0]
        with pytest.raises(StateMismatchError, match=message):
            other.load_state_dict(state)
        assert next(other)["n"].tolist() == wanted[1]
    moved = mixed(steps=9)
    wanted = [next(moved)["n"].tolist() for _ in range(4)]
    moved.set_epoch(0)
    assert [next(moved)["n"].tolist() for _ in range(3)] == wanted[:3]
    readers = state["readers"]
    foreign = {**state, "readers": {**readers, "c": {**readers["c"], "fingerprint": "0" * 64}}}
    with pytest.raises(StateMismatchError, match="c: reader state: fingerprint"):
        moved.load_state_dict(foreign)
    assert moved.step == 3
    assert next(moved)["n"].tolist() == wanted[3], "a and b are back where they were"
    for broken, message in [
        ({**state, "step": -1}, "incomplete or was edited"),
        ({**state, "readers": {}}, "incomplete or was edited"),
        (make_reader(folders["a"], batch_size=4).state_dict(), "a reader's own state is for the reader"),
        ([], "expected a state of a mixture"),
    ]:
        with pytest.raises(StateMismatchError, match=message):
            reader.load_state_dict(broken)


def test_more_ranks_than_lanes_cannot_go_on_and_are_told_how_to_begin(mixed):
    reader = mixed(total=16, sub=8)
    next(reader)
    with pytest.raises(StateMismatchError, match="1 lanes cannot be shared by 2 ranks .* begun with mix.lanes="):
        mixed(total=16, world=2, sub=8).load_state_dict(reader.state_dict())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"total": 0}, "batch_size must be a positive integer"),
        ({"seed": -1}, "a mixture needs a seed"),
        ({"stop": "first", "steps": 3}, "give stop='first', stop='all' or steps"),
        ({"stop": "last"}, "give stop='first'"),
        ({"steps": 0}, "steps must be a positive integer"),
        ({"lanes": 5}, "5 lanes cannot be shared by 1 ranks in global batches of 12"),
        ({"lanes": 3}, "a: its 4 lanes cannot be shared by the mixture's 3"),
        ({"stop": "first", "total": 200}, "a dataset is used up before the first batch of 200"),
        ({"lanes": 2, "sub": 10, "inner": 2, "names": "c", "total": 8}, "c: its 9 rows fill no batch of 10; open it"),
        ({"names": ""}, "a mixture needs at least one reader"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(mixed, settings, message):
    with pytest.raises(FormatError, match=message):
        mixed(**settings)


def test_columns_that_differ_are_refused_with_the_first_batch(mixed, folders, opened):
    def one_of(**settings):
        readers = {"a": make_reader(folders["a"], batch_size=4),
                   "c": make_reader(folders["c"], batch_size=4, **settings)}  # fmt: skip
        opened.append(mix(readers, weights={"a": 1000, "c": 1}, batch_size=4, seed=1))
        return opened[-1]

    def wider(batch):
        return {**batch, "vector": np.zeros((len(batch["n"]), 3), np.float32)}

    def smaller(batch):
        return {**batch, "n": batch["n"].astype(np.int32)}

    def bare(batch):
        return {**batch, "maybe": batch["maybe"].data}

    def shorter(batch):
        return {name: values[:-1] for name, values in batch.items()}

    for settings, message in [
        ({"columns": ["n"]}, "column entity_id: a gives list, c gives no such column"),
        ({"transform": wider}, r"column vector: a gives array float32 \(2,\), c gives array float32 \(3,\)"),
        ({"transform": smaller}, "column n: a gives array int64 .., c gives array int32 .."),
        ({"transform": bare}, "column maybe: a gives masked float64 .., c gives array float64"),
        ({"transform": shorter}, r"c: expected a batch of 4 rows, found columns of \[3\]"),
        ({"shard": Shard(0, 2)}, r"c: expected a batch of 8 rows, found columns of \[4\]; readers and mixture need"),
    ]:
        reader = one_of(**settings)
        for _ in range(2):
            with pytest.raises(FormatError, match=message):
                next(reader)


class Late:
    """A reader whose batches come too late now and then, as from a slow store; asked again it gives them."""

    def __init__(self, reader):
        self.reader, self.calls = reader, 0

    def __getattr__(self, name):
        return getattr(self.reader, name)

    def __next__(self):
        self.calls += 1
        if self.calls % 2:
            raise DeadlineError("too late")
        return next(self.reader)


def test_a_batch_that_comes_too_late_comes_when_it_is_asked_for_again(folders, opened):
    def make(wrap):
        readers = {name: wrap(make_reader(folders[name], batch_size=4)) for name in "ab"}
        opened.append(mix(readers, weights={"a": 1, "b": 2}, batch_size=9, seed=1, steps=12))
        return opened[-1]

    expected, late = list(make(lambda reader: reader)), make(Late)
    found, errors = [], 0
    while len(found) < 12:
        state = late.state_dict()
        try:
            found.append(next(late))
        except DeadlineError:
            errors += 1
            assert late.state_dict() == state
    assert errors > 12
    for one, other in zip(found, expected, strict=True):
        assert_same_batch(one, other)


def test_after_an_error_that_stays_a_loaded_state_goes_on(folders, opened):
    failures = threading.Event()

    def transform(batch):
        if failures.is_set():
            raise ValueError("not now")
        return batch

    def make():
        options = ReadOptions(pool="inline")
        readers = {"a": make_reader(folders["a"], batch_size=4, options=options),
                   "b": make_reader(folders["b"], batch_size=4, options=options, transform=transform)}  # fmt: skip
        opened.append(mix(readers, weights={"a": 1, "b": 2}, batch_size=9, seed=1, steps=6))
        return opened[-1]

    expected = list(make())
    reader = make()
    found = [next(reader), next(reader)]
    failures.set()
    with pytest.raises(TransformError, match="not now"):
        found.extend(reader)
    failures.clear()
    reader.load_state_dict(reader.state_dict())
    found += reader
    for one, other in zip(found, expected, strict=True):
        assert_same_batch(one, other)


def test_skipped_samples_are_marked_and_the_others_stay_where_they_are(mixed, tmp_path, opened):
    fields = (Field("entity_id", pa.string()), Field("n", pa.int64()), Field("image", pa.binary(), codec="image"))
    stream = io.BytesIO()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(stream, "PNG")
    for name, bad in (("x", {3, 9}), ("y", set())):
        rows = [{"entity_id": f"{n}", "n": n, "image": b"no" if n in bad else stream.getvalue()} for n in range(12)]
        write_dataset(rows, fields, tmp_path / name)

    def make(on_error):
        options = ReadOptions(on_error=on_error, pool="inline")
        readers = {name: make_reader(tmp_path / name / "train", batch_size=4, options=options) for name in "xy"}
        opened.append(mix(readers, weights={"x": 1, "y": 1}, batch_size=8, seed=1, steps=3))
        return opened[-1]

    batches = list(make("skip"))
    assert sum(int(batch["is_pad"].sum()) for batch in batches) == 2
    numbers = [n for batch in batches for n in batch["n"][~batch["is_pad"]].tolist()]
    assert sorted(numbers) == sorted([*range(12), *({*range(12)} - {3, 9})])
    with pytest.raises(ValueError, match="column image"):
        list(make("raise"))


def test_closing_a_mixture_closes_its_readers(mixed):
    with mixed() as reader:
        next(reader)
        assert set(reader.stats()) == {"a", "b", "c"}
        assert reader.fields == FIELDS
    with pytest.raises(RuntimeError, match="closed"):
        next(reader)


def test_ranks_that_mix_differently_are_told_before_the_first_batch(folders, opened):
    barrier = threading.Barrier(2)
    notes: dict[int, bytes] = {}

    def exchange_of(rank):
        def exchange(payload):
            barrier.wait(20)
            notes[rank] = payload
            barrier.wait(20)
            found = [notes[0], notes[1]]
            barrier.wait(20)
            return found

        return exchange

    errors = []

    def run(rank):
        reader = make_reader(folders["a"], batch_size=4, shard=Shard(rank, 2), shuffle=Shuffle(seed=1))
        mixture = mix({"a": reader}, weights={"a": 1}, batch_size=4, seed=rank, shard=Shard(rank, 2, exchange_of(rank)))
        opened.append(mixture)
        try:
            next(mixture)
        except RankMismatchError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(errors) == 2
    assert "seed" in errors[0]


# ------------------------------------------------------------------------------------------------ classes


def of_classes(folder, classes, *, lineage=None):
    """A split whose numbers name these classes, in its field or as folders of before have them."""
    rows = pa.table({"entity_id": ["x", "y"], "split": ["train"] * 2, "bytes": [8, 8], "label_index": [0, 1]})
    fields = [Field("entity_id", pa.string()), Field("label_index", pa.int64(), classes=classes)]
    plan = plan_dataset(rows, fields, seed=0)
    receipts = {task.name: run_task(task, staging=folder.with_name("staging")) for task in plan.tasks}
    publish(plan, receipts, staging=folder.with_name("staging"), folder=folder, lineage=lineage)
    return folder / "train"


CAT_DOG = {"classes": ["cat", "dog"]}


@pytest.mark.parametrize(("one", "two", "lineage", "found"), [
    (("cat", "dog"), ("cat", "dog", "owl"), None, ("cat", "dog", "owl")),
    (("cat", "dog"), ("dog", "cat"), None, None),
    (("cat", "dog", "owl"), ("cat", "dog", "emu"), None, None),
    (("cat", "dog", "owl"), None, CAT_DOG, ("cat", "dog", "owl")),
    (("dog", "cat"), None, CAT_DOG, None),
    (None, None, None, ()),
])  # fmt: skip
def test_a_mixture_has_the_classes_of_its_datasets_or_says_which_number_means_two(
    tmp_path, opened, one, two, lineage, found
):
    splits = [of_classes(tmp_path / "one", one), of_classes(tmp_path / "two", two, lineage=lineage)]
    for columns in (["entity_id"], None):
        readers = {name: make_reader(split, batch_size=1, columns=columns, epochs=None) for name, split in
                   zip(("web", "books"), splits, strict=True)}  # fmt: skip
        opened += readers.values()
        if found is None and columns is None:
            with pytest.raises(FormatError, match=r"column label_index: class \d is '.*' in web and '.*' in books"):
                mix(readers, weights={"web": 0.5, "books": 0.5}, batch_size=2, seed=1)
            continue
        mixture = mix(readers, weights={"web": 0.5, "books": 0.5}, batch_size=2, seed=1)
        assert mixture.classes == (() if columns else found)
        assert len(next(mixture)["entity_id"]) == 2
