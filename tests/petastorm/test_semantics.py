"""What Petastorm promises, row by row: classes and messages of errors, lifecycles, schemas, loaders, signatures.

`data/errors.json` and `data/behaviours.json` are what the real Petastorm did. Where ours is meant to do otherwise,
`INTENDED` says why and what; what the real one gets wrong (orders, lost and mixed rows) is promised at the end.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loaders.petastorm import make_batch_reader, make_reader
from loaders.petastorm.predicates import in_lambda
from tests.petastorm.behaviours import BEHAVIOURS, METHODS
from tests.petastorm.cases import Wrong, wrongs
from tests.petastorm.observing import Package

DATA = Path(__file__).resolve().parent / "data"
OURS = Package("loaders.petastorm")
URL = f"file://{DATA}/rowgroups"
REAL = json.loads((DATA / "behaviours.json").read_text(encoding="utf-8"))
REAL_ERRORS = json.loads((DATA / "errors.json").read_text(encoding="utf-8"))

# ------------------------------------------------------------------------------------------------ errors


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("wrong", list(wrongs()), ids=lambda wrong: wrong.id)
def test_bad_input_gives_the_error_of_the_real_one(wrong: Wrong, tmp_path: Path) -> None:
    real = REAL_ERRORS[wrong.name]
    assert real["error"] == wrong.error
    assert real["message"].startswith(wrong.begins)
    with pytest.raises(Exception) as raised:
        wrong.make(OURS, DATA, tmp_path / "work")
    assert wrong.error in [kind.__name__ for kind in type(raised.value).__mro__]
    assert " ".join(str(raised.value).split()).startswith(wrong.begins)


# ------------------------------------------------------------------------------------------------ behaviours


def _promoted(real: Any) -> Any:
    """Return the loader's batches as they are if scalars of rows get the types that arrays get."""
    real = copy.deepcopy(real)
    for batch in real[0]:
        for name, of, to in (
            ("uint16_in_integer", "uint16 array <u2", "int32 array <i4"),
            ("uint32_in_long", "uint32 array <u4", "int64 array <i8"),
        ):
            batch[name] = batch[name].replace(of, to)
    return real


INTENDED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "an_iterator_is_the_reader_itself": ("a reader has a length", lambda real: [*real[:3], True]),
    "a_shard_out_of_range": (
        "a shard that does not exist is an error, not an empty reader",
        lambda real: "ValueError: cur_shard is counted from 0 and less than shard_count=2, found 5",
    ),
    "a_disk_cache_after_the_reader": ("a cache is there for the next reader too", lambda real: True),
    "a_file_added_later": ("its footer tells its row groups", lambda real: [*range(24), *range(8)]),
    "a_file_that_went_missing": (
        "lost rows are no matter to pass over in silence",
        lambda real: "CorruptionError",
    ),
    "a_file_that_is_no_data": ("only Parquet files are data", lambda real: list(range(24))),
    "a_generated_datapoint": (
        "single values are what readers give, not arrays without axes",
        lambda real: {**real, "name": ["str", "U", 0], "price": ["Decimal", None, None]},
    ),
    "loader_of_rows": ("unsigned numbers become wider signed ones whether or not they come in arrays", _promoted),
    "loader_of_what_torch_cannot_hold": (
        "torch has uint64 now",
        lambda real: [
            *real[:3],
            [
                {"uint64_in_long": "tensor uint64 array <u8 (3) [0, 1, 9223372036854775807]"},
                {"uint64_in_long": "tensor uint64 array <u8 (2) [0, 1]"},
            ],
        ],
    ),
    "loaders_iterated_again": ("after a break a loader starts anew", lambda real: [*real[:3], True]),
}


@pytest.mark.parametrize("name", [name for name in BEHAVIOURS if name != "signatures"])
def test_behaves_as_the_real_one(name: str, tmp_path: Path) -> None:
    if "load" in name or "collate" in name:
        pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.filters", [("ignore", None, Warning, None, 0)])
        found = BEHAVIOURS[name](OURS, DATA, tmp_path / "work")
    found = json.loads(json.dumps(found, default=str).replace(str(tmp_path), "{empty}"))
    assert found == (INTENDED[name][1](REAL[name]) if name in INTENDED else REAL[name])


@pytest.mark.parametrize("name", sorted(INTENDED))
def test_intended_differences_are_ones(name: str) -> None:
    assert INTENDED[name][1](REAL[name]) != REAL[name]


OTHER_DEFAULTS = {
    ("local_disk_cache LocalDiskCache", "cleanup"): "False",  # a cache is there for the next reader too
    ("fs_utils FilesystemResolver", "connector"): "None",  # pyarrow connects to HDFS
}


@pytest.mark.parametrize("name", [name for name in REAL["signatures"]])
def test_takes_the_arguments_of_the_real_one(name: str) -> None:
    real, ours = REAL["signatures"][name], _signatures()[name]
    assert [part[0] for part in ours[: len(real)]] == [part[0] for part in real]
    for (argument, default), (_, given) in zip(real, ours, strict=False):
        assert given == OTHER_DEFAULTS.get((name, argument), default), argument
    assert all(default for _, default in ours[len(real) :]), "an argument of ours alone needs a default"


def _signatures() -> dict[str, Any]:
    pytest.importorskip("torch")
    found: dict[str, Any] = json.loads(json.dumps(BEHAVIOURS["signatures"](OURS, DATA, DATA)))
    return found


def test_the_reader_has_its_methods() -> None:
    assert {f"reader Reader.{name}" for name in METHODS["reader Reader"]} <= REAL["signatures"].keys()


# ------------------------------------------------------------------------------------------------ where it fails


def ids(reader: Any) -> list[int]:
    with reader:
        return [int(row.id) for row in reader]


@pytest.mark.parametrize("pool", ["thread", "dummy"])
def test_no_row_is_lost(pool: str) -> None:
    for _ in range(10):
        assert ids(make_reader(URL, ["id"], pool, shuffle_row_groups=False)) == list(range(24))


def test_every_epoch_has_an_order_of_its_own_which_the_seed_says() -> None:
    def epochs(seed: int, workers: int) -> list[list[int]]:
        found = ids(make_reader(URL, ["id"], workers_count=workers, seed=seed, num_epochs=3, shuffle_rows=True))
        return [found[start : start + 24] for start in (0, 24, 48)]

    first = epochs(0, 1)
    assert all(sorted(epoch) == list(range(24)) for epoch in first)
    assert first[0] != first[1] != first[2]
    assert epochs(0, 7) == first
    assert epochs(1, 1) != first


def test_row_groups_are_shuffled_apart() -> None:
    found = ids(make_reader(URL, ["id"], seed=3, shuffle_rows=True, shuffle_row_groups=False))
    groups = [found[start : start + 3] for start in (0, 8, 16)] + [found[start : start + 3] for start in (3, 11, 19)]
    assert all(max(group) - min(group) == 2 for group in groups)
    assert len({tuple(np.argsort(group)) for group in groups}) > 1


def test_a_predicate_and_shuffled_rows_do_not_mix_rows() -> None:
    keep = in_lambda(["id"], lambda id: id % 2 == 0)
    with make_reader(URL, ["id", "name", "vec"], shuffle_rows=True, seed=1, predicate=keep) as reader:
        rows = [(int(row.id), str(row.name), row.vec.tolist()) for row in reader]
    assert sorted(rows) == [(n, f"name{n % 3}", [n, n / 2]) for n in range(0, 24, 2)]


def test_dropped_partitions_and_shuffled_rows_keep_every_row_once() -> None:
    found = ids(make_reader(URL, ["id"], shuffle_rows=True, seed=1, shuffle_row_drop_partitions=2))
    assert Counter(found) == dict.fromkeys(range(24), 1)


def test_a_seed_does_not_change_what_is_in_a_shard() -> None:
    def shard(**options: Any) -> set[int]:
        return set(ids(make_reader(URL, ["id"], cur_shard=1, shard_count=2, **options)))

    assert shard() == shard(seed=5) == shard(seed=6)


def test_filters_apply_to_rows() -> None:
    assert ids(make_reader(URL, ["id"], shuffle_row_groups=False, filters=[("id", ">", 20)])) == [21, 22, 23]


def test_a_predicate_may_ask_for_a_field_that_is_not_read() -> None:
    keep = in_lambda(["id"], lambda id: id < 2)
    with make_reader(URL, ["name"], shuffle_row_groups=False, predicate=keep) as reader:
        assert [str(row.name) for row in reader] == ["name0", "name1"]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nulls_of_a_batch_stay_nulls() -> None:
    with make_batch_reader(URL, ["maybe"], shuffle_row_groups=False) as reader:
        assert [value for batch in reader for value in batch.maybe if value is not None] == [
            "there5",
            "there6",
            "there13",
        ]


def test_a_reader_starts_again_in_the_middle() -> None:
    with make_reader(URL, ["id"], shuffle_row_groups=False) as reader:
        next(reader)
        reader.rewind()
        assert int(next(reader).id) == 0
