"""Windows of rows: which rows follow one another closely enough, and what each step of a window holds."""

from __future__ import annotations

import pickle
import random
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from loaders.petastorm.ngram import NGram
from loaders.petastorm.unischema import Unischema, UnischemaField

SCHEMA = Unischema(
    "Drive",
    [UnischemaField(name, np.int64, ()) for name in ("ts", "speed", "speed_limit", "lane")],
)
ROWS = [{"ts": ts, "speed": 10 * ts, "speed_limit": 50, "lane": n} for n, ts in enumerate([0, 3, 8, 10, 11, 20, 30])]


def ngram(length=2, threshold=4, overlap=True):
    return NGram({step: ["ts"] for step in range(length)}, threshold, SCHEMA.ts, overlap)


def windows(timestamps, *args, **kwargs):
    return ngram(*args, **kwargs).windows(timestamps).tolist()


def by_definition(times, length, threshold, overlap):
    """Windows one after the other, each compared row by row."""
    found, end = [], None
    for start in range(len(times) - length + 1):
        window = times[start : start + length]
        if not overlap and end is not None and window[0] <= end:
            continue
        if all(later - earlier <= threshold for earlier, later in pairwise(window)):
            found.append([*range(start, start + length)])
            end = window[-1]
    return found


def test_rows_follow_one_another_within_the_threshold():
    times = [row["ts"] for row in ROWS]
    assert windows(times) == [[0, 1], [2, 3], [3, 4]]
    assert windows(times, threshold=5) == [[0, 1], [1, 2], [2, 3], [3, 4]]
    assert windows(times, length=3, threshold=5) == [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    assert windows(times, length=8, threshold=99) == windows([], length=1) == []
    assert windows(times, overlap=False, threshold=5) == [[0, 1], [2, 3]]


def test_windows_are_those_of_the_definition():
    draw = random.Random(5)
    for _ in range(300):
        times = [sum(draw.choices([0, 1, 2, 5], k=1)) for _ in range(draw.randrange(12))]
        times = np.cumsum(times).tolist()
        case = draw.randrange(1, 5), draw.choice([0, 1, 2.5, 9, -1]), draw.random() < 0.5
        assert windows(times, *case) == by_definition(times, *case), (times, case)


@pytest.mark.parametrize(
    "times",
    [
        [np.int8(-128), np.int8(127)],
        [np.int64(-(2**63)), np.int64(2**63 - 1)],
        [np.uint64(0), np.uint64(2**64 - 1)],
        [0.0, 255.5],
        [Decimal("0"), Decimal("255.5")],
        np.array(["2024-01-01", "2024-12-01"], "datetime64[D]"),
    ],
)
def test_times_of_every_kind_are_compared_without_overflow(times):
    threshold = np.timedelta64(100, "D") if getattr(times, "dtype", None) == "datetime64[D]" else 254
    assert windows(times, threshold=threshold) == []
    assert windows(times, threshold=threshold * 2**60 if threshold == 254 else threshold * 9) == [[0, 1]]
    assert windows([times[0], times[0]], threshold=threshold) == [[0, 1]]


def test_times_out_of_order_are_refused():
    for make in (lambda: windows([1, 2, 1]), lambda: windows([1.0, float("nan")], overlap=False)):
        with pytest.raises(NotImplementedError, match="NGram assumes that the data is sorted by ts field"):
            make()
    assert windows([3, 1], length=1) == [[0], [1]]
    assert windows([3, 1, 3, 4], length=1, overlap=False) == [[0], [3]]
    assert windows([3, 1], length=3) == []
    with pytest.raises(TypeError, match="a value of ts is null"):
        windows([1, None])


def test_each_step_has_its_fields():
    found = NGram({-1: ["lane", "ts"], 1: [SCHEMA.speed]}, 5, SCHEMA.ts)
    found.resolve_regex_field_names(SCHEMA)
    assert (found.length, found.delta_threshold, found.timestamp_overlap) == (3, 5, True)
    formed = found.form_ngram(ROWS, SCHEMA)
    assert formed[0] == {-1: {"lane": 0, "ts": 0}, 0: {}, 1: {"speed": 80}}
    row = found.make_namedtuple(SCHEMA, formed[0])
    assert list(row) == [-1, 0, 1]
    assert row[-1]._fields == ("ts", "lane")
    assert (row[-1].lane, row[0]._fields, row[1].speed) == (0, (), 80)
    assert found.get_field_names_at_timestep(-1) == ["ts", "lane"]
    assert found.get_field_names_at_timestep(0) == found.get_field_names_at_timestep(7) == []
    assert found.get_field_names_at_all_timesteps() == [SCHEMA.ts, SCHEMA.lane, SCHEMA.speed]
    assert list(found.get_schema_at_timestep(SCHEMA, 1).fields) == ["speed"]


def test_regular_expressions_become_fields():
    found = NGram({0: ["speed.*", SCHEMA.ts], 1: ["speed"]}, 5, "t.")
    with pytest.raises(ValueError, match="'t.' is not resolved"):
        found.timestamp_name  # noqa: B018
    with pytest.warns(UserWarning, match="speed_limit"):  # which `speed` alone no longer matches
        found.resolve_regex_field_names(SCHEMA)
    assert found.fields == {0: [SCHEMA.ts, SCHEMA.speed, SCHEMA.speed_limit], 1: [SCHEMA.speed]}
    assert found.timestamp_name == "ts"
    for pattern, how_many in (("s.*", "more than one"), ("none", "no")):
        with pytest.raises(ValueError, match=f"timestamp_field was matched to {how_many} unischema field"):
            NGram({0: ["ts"]}, 5, pattern).resolve_regex_field_names(SCHEMA)


def test_windows_with_the_same_fields_are_equal_and_travel():
    found = ngram()
    assert found == ngram(threshold=9)
    assert found != ngram(3)
    assert found != "ngram"
    copied = pickle.loads(pickle.dumps(found))
    assert copied == found
    assert copied.windows([1, 2]).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((None, 1, "ts"), "Fields must be set and must be a dictionary"),
        (({}, 1, "ts"), "Fields must be set and must be a dictionary"),
        (({"0": ["ts"]}, 1, "ts"), "Timesteps must be integers"),
        (({0: "ts"}, 1, "ts"), "Each field value must be a list of unischema fields"),
        (({0: [1]}, 1, "ts"), "All field values must be of type UnischemaField"),
        (({0: ["ts"]}, None, "ts"), "delta_threshold must be a number"),
        (({0: ["ts"]}, 1, None), "timestamp_field must be set"),
        (({0: ["ts"]}, 1, "ts", None), "timestamp_overlap must be set"),
    ],
)
def test_wrong_arguments_are_refused(args, message):
    with pytest.raises(ValueError, match=message):
        NGram(*args)
