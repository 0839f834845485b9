"""Sequences: neighbours in the data, whole in one row group, and nothing lost in silence."""

from __future__ import annotations

import itertools
import math
import wave
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders import Field, FormatError, Layout, plan_parts, read_manifest, verify, write_dataset
from loaders.ordering.bounds import Bounds
from loaders.ordering.selection import select
from loaders.ordering.sequences import Sequence
from schemas.canonical import bucket

CLIP = Field("clip", pa.string(), nullable=True)
TIME = Field("t", pa.int64(), nullable=True)
GOOD = Field("good", pa.bool_())


def select_in(groups, fields=(CLIP, TIME), **wanted):
    """Select from row groups in memory, each a list of rows."""
    tables = [
        pa.table({field.name: pa.array([row[at] for row in rows], field.type) for at, field in enumerate(fields)})
        for rows in groups
    ]
    return select(
        fields, "f" * 64, [len(rows) for rows in groups], statistics=lambda group, field: Bounds(len(groups[group])),
        read_columns=lambda group, names: tables[group].select(names), **wanted)  # fmt: skip


def samples_in(groups, selection, column=1):
    """The values that the samples hold, by row group."""
    return [[[groups[group][row][column] for row in rows] for rows in selection.rows(group).tolist()]
            for group in range(len(groups))]  # fmt: skip


def clip(name, times):
    return [(name, time) for time in times]


def test_every_stretch_of_a_series_is_a_sample():
    groups = [clip("a", [3, 1, 2, 4]), clip("b", [10, 30, 20])]
    selection = select_in(groups, sequence=Sequence(length=3, by="clip", order="t"))
    assert selection.length == 3
    assert samples_in(groups, selection) == [[[1, 2, 3], [2, 3, 4]], [[10, 20, 30]]]
    assert selection.rows(0).tolist() == [[1, 2, 0], [2, 0, 3]]
    assert (selection.samples_by_group, selection.samples, selection.sequences_cut) == ((2, 1), 3, 0)


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"length": 3, "stride": 2}, [[0, 1, 2], [2, 3, 4], [4, 5, 6]]),
        ({"length": 3, "stride": 3}, [[0, 1, 2], [3, 4, 5]]),
        ({"length": 3, "step": 3}, [[0, 3, 6], [1, 4, 7]]),
        ({"length": 2, "step": 4, "stride": 3}, [[0, 4], [3, 7]]),
        ({"length": 1, "stride": 4}, [[0], [4]]),
        ({"length": 8}, [[0, 1, 2, 3, 4, 5, 6, 7]]),
    ],
)
def test_step_lies_between_rows_and_stride_between_starts(settings, found):
    groups = [clip("a", range(8))]
    assert samples_in(groups, select_in(groups, sequence=Sequence(order="t", **settings))) == [found]


def test_a_gap_ends_a_series_and_begins_another():
    groups = [clip("a", [0, 1, 2, 5, 6, 7, 8])]
    selection = select_in(groups, sequence=Sequence(length=2, order="t", stride=2, max_gap=2))
    assert samples_in(groups, selection) == [[[0, 1], [5, 6], [7, 8]]]
    without = select_in(groups, sequence=Sequence(length=2, order="t", stride=2))
    assert samples_in(groups, without) == [[[0, 1], [2, 5], [6, 7]]]


def test_rows_of_another_row_group_are_no_gap_to_jump_over():
    """Frames 1 and 3 lie together, but are no neighbours: frame 2 lies elsewhere."""
    groups = [clip("a", [0, 1, 3]), clip("a", [2, 4, 5])]
    selection = select_in(groups, sequence=Sequence(length=2, by="clip", order="t"))
    assert samples_in(groups, selection) == [[[0, 1]], [[4, 5]]]
    assert selection.sequences_cut == 3, "[1, 2], [2, 3], [3, 4]"


def test_all_rows_of_a_sequence_match_the_filter_and_others_still_count_as_neighbours():
    groups = [[("a", t, t != 3) for t in range(7)]]
    fields = (CLIP, TIME, GOOD)
    plain = Sequence(length=2, by="clip", order="t")
    selection = select_in(groups, fields, sequence=plain, filter=[("good", "=", True)])
    assert samples_in(groups, selection) == [[[0, 1], [1, 2], [4, 5], [5, 6]]]
    stepped = select_in(groups, fields, sequence=Sequence(length=2, step=2, by="clip", order="t"),
                        filter=[("good", "=", True)])  # fmt: skip
    assert samples_in(groups, stepped) == [[[0, 2], [2, 4], [4, 6]]], "3 may be stepped over"


def test_rows_without_series_or_place_belong_to_no_sequence():
    groups = [[("a", 0), (None, 1), ("a", None), ("a", 2), (None, 3)]]
    assert samples_in(groups, select_in(groups, sequence=Sequence(length=2, by="clip", order="t"))) == [[[0, 2]]]


def test_clocks_and_fractions_put_rows_in_order_too():
    start = datetime(2024, 5, 1, tzinfo=UTC)
    cases = [
        (pa.timestamp("us", tz="UTC"), [start + timedelta(seconds=s) for s in (0, 1, 9, 10)], timedelta(seconds=2)),
        (pa.date32(), [date(2024, 5, day) for day in (1, 2, 20, 21)], timedelta(hours=30)),
        (pa.float64(), [0.0, 0.1, 0.9, 1.0], 0.2),
        (pa.uint64(), [0, 1, 2**64 - 2, 2**64 - 1], 5),
        (pa.int64(), [-(2**63), -(2**63) + 1, 2**63 - 2, 2**63 - 1], 5),
        (pa.int8(), [-128, -127, 126, 127], 5),
    ]
    for kind, values, gap in cases:
        fields = (CLIP, Field("t", kind))
        groups = [clip("a", reversed(values))]
        selection = select_in(groups, fields, sequence=Sequence(length=2, order="t", max_gap=gap))
        assert samples_in(groups, selection) == [[values[2:], values[:2]]], kind


def test_names_of_series_may_come_as_another_dictionary_from_each_row_group():
    tables = [pa.table({"clip": pa.array(names).dictionary_encode(), "t": pa.array(times)})
              for names, times in [(["a", "b", "a"], [1, 1, 2]), (["b", "a"], [2, 3])]]  # fmt: skip
    tables.append(pa.table({"clip": ["c", "c"], "t": [1, 2]}))
    selection = select(
        (CLIP, TIME), "f" * 64, [3, 2, 2], sequence=Sequence(length=2, by="clip", order="t"),
        statistics=lambda group, field: Bounds(3), read_columns=lambda group, names: tables[group].select(names),
    )  # fmt: skip
    assert [selection.rows(group).tolist() for group in range(3)] == [[[0, 2]], [], [[0, 1]]]
    assert selection.sequences_cut == 2


def test_nan_has_no_place():
    groups = [clip("a", [0.0, math.nan, 1.0])]
    selection = select_in(groups, (CLIP, Field("t", pa.float64())), sequence=Sequence(length=2, order="t"))
    assert samples_in(groups, selection) == [[[0.0, 1.0]]]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"length": 0, "order": "t"}, "length must be a positive integer, found 0"),
        ({"length": 2, "order": "t", "step": True}, "step must be a positive integer, found True"),
        ({"length": 2, "order": "t", "max_gap": -1}, "max_gap must be a number or a timedelta, not negative"),
        ({"length": 2, "order": "t", "max_gap": math.inf}, "max_gap must be a number or a timedelta"),
        ({"length": 2, "order": "tt"}, "Sequence.order=....: there is no column 'tt'; did you mean 't'?"),
        ({"length": 2, "order": "t", "by": "clipp"}, "Sequence.by=....: there is no column 'clipp'; did you mean"),
        ({"length": 2, "order": "clip"}, "the column holds string; use numbers, timestamps or dates"),
        ({"length": 2, "order": "t", "max_gap": timedelta(1)}, "does not fit column t, which holds int64"),
        ({"length": 9, "order": "t"}, "5 rows hold no Sequence.length=9, order='t'.*; check length, step and max_gap"),
        ({"length": 4, "order": "t"}, "lies in one row group: 2 are cut by their borders; publish the dataset with"),
    ],
)
def test_what_cannot_be_a_sequence_is_refused_by_name(wanted, message):
    groups = [clip("a", [0, 1, 2]), clip("a", [3, 4])]
    with pytest.raises(FormatError, match=message):
        select_in(groups, sequence=Sequence(**wanted))


def test_a_place_that_is_taken_twice_is_an_error_that_says_what_is_missing():
    groups = [clip("a", [0, 1]), clip("b", [1, 2])]
    with pytest.raises(FormatError, match="1 rows have the same 't' as another, first 1; name the column"):
        select_in(groups, sequence=Sequence(length=2, order="t"))
    assert select_in(groups, sequence=Sequence(length=2, order="t", by="clip")).samples == 2


def test_a_sequence_of_one_row_and_a_plain_filter_choose_the_same_rows():
    groups = [[("a", 5, True), ("b", 2, False), ("a", 1, True)], [("b", 0, True)]]
    fields, wanted = (CLIP, TIME, GOOD), [("good", "=", True)]
    single = select_in(groups, fields, sequence=Sequence(length=1, by="clip", order="t"), filter=wanted)
    plain = select_in(groups, fields, filter=wanted)
    assert [single.rows(at).tolist() for at in (0, 1)] == [plain.rows(at).tolist() for at in (0, 1)]


def found_slowly(groups, sequence):
    """Sequences said once more in plain Python: {row group: [rows]}, and how many are cut."""
    places = [(at, row) for at, rows in enumerate(groups) for row in range(len(rows))]
    series = {}
    for at, row in places:
        name, time, good = groups[at][row]
        if name is not None and time is not None:
            series.setdefault(name if sequence.by else "", []).append((time, at, row, good))
    found, cut = {at: [] for at in range(len(groups))}, 0
    for members in series.values():
        runs = [[]]
        for member in sorted(members):
            gap = sequence.max_gap
            if runs[-1] and gap is not None and member[0] - runs[-1][-1][0] > gap:
                runs.append([])
            runs[-1].append(member)
        for run in runs:
            for start in range(0, len(run) - sequence.span + 1, sequence.stride):
                stretch = run[start : start + sequence.span]
                picked = stretch[:: sequence.step]
                if not all(good for *_, good in picked):
                    continue
                if len({at for _, at, _, _ in stretch}) > 1:
                    cut += 1
                    continue
                found[stretch[0][1]].append([row for _, _, row, _ in picked])
    return {at: sorted(rows) for at, rows in found.items()}, cut


@settings(max_examples=300)
@given(
    data=st.data(),
    sequence=st.builds(
        Sequence, length=st.integers(1, 4), order=st.just("t"), by=st.sampled_from([None, "clip"]),
        stride=st.integers(1, 3), step=st.integers(1, 3), max_gap=st.sampled_from([None, 0, 1, 3]),
    ),
)  # fmt: skip
def test_sequences_are_those_of_plain_python(data, sequence):
    times = data.draw(st.lists(st.none() | st.integers(0, 20), min_size=1, max_size=20))
    taken: set[int | None] = set()
    rows = []
    for time in times:
        name = data.draw(st.sampled_from(["a", "b", "ü", None]))
        key = time if sequence.by is None else (name, time)
        rows.append((name, None if key in taken else time, data.draw(st.booleans() | st.just(True))))
        taken.add(key)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows)), max_size=4)) | {len(rows)})
    groups = [rows[first:last] for first, last in itertools.pairwise([0, *cuts])]
    if sequence.by is None:
        rows_used = [[(row[0] or "a", *row[1:]) for row in group] for group in groups]
    else:
        rows_used = groups
    expected, cut = found_slowly(rows_used, sequence)
    wanted = {"sequence": sequence, "filter": [("good", "=", True)]}
    if not any(expected.values()):
        with pytest.raises(FormatError, match="row group|hold no"):
            select_in(rows_used, (CLIP, TIME, GOOD), **wanted)
        return
    selection = select_in(rows_used, (CLIP, TIME, GOOD), **wanted)
    assert {at: selection.rows(at).tolist() for at in range(len(groups))} == expected
    assert selection.samples_by_group == tuple(len(expected[at]) for at in range(len(groups)))
    assert selection.sequences_cut == cut


FRAMES = (Field("entity_id", pa.string()), Field("clip", pa.string()), Field("t", pa.int64()),
          Field("sound", pa.binary()))  # fmt: skip


def frames_of(lengths, size=100):
    """Clips of some lengths, named c0, c1 ...; each frame holds `size` bytes."""
    return [
        {"entity_id": f"c{clip}-{at}", "clip": f"c{clip}", "t": at, "sound": bytes([clip % 256]) * size}
        for clip, length in enumerate(lengths)
        for at in reversed(range(length))
    ]


def stored_groups(folder):
    """The row groups of a split as they lie in the files: [(clip, t), ...] each."""
    manifest = read_manifest(folder)
    files = [pq.ParquetFile(folder / part.name) for part in manifest.parts]
    tables = [file.read_row_group(at) for file in files for at in range(file.metadata.num_row_groups)]
    return manifest, [[(row["clip"], row["t"]) for row in table.select(["clip", "t"]).to_pylist()] for table in tables]


def test_row_groups_end_between_sequences_and_only_a_long_one_is_cut():
    together = [2, 3, 1, 9, 1, 1]
    plans = plan_parts([10] * 17, row_group_bytes=40, part_bytes=80, together=together)
    assert [plan.row_groups for plan in plans] == [(2, 4), (4, 4), (3,)]
    assert plan_parts([], together=[]) == []
    with pytest.raises(FormatError, match="must add up to 3 rows, found 2"):
        plan_parts([1, 1, 1], together=[2])


@settings(max_examples=200)
@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=8), max_size=12), st.integers(1, 60))
def test_a_sequence_that_fits_is_never_cut_and_no_row_group_is_too_large(sizes, limit):
    flat = [size for one in sizes for size in one]
    plans = plan_parts(flat, row_group_bytes=limit, part_bytes=100, together=[len(one) for one in sizes])
    counts = [count for plan in plans for count in plan.row_groups]
    assert sum(counts) == len(flat)
    cuts = {0, *itertools.accumulate(counts)}
    start = 0
    for one in sizes:
        inside = [cut for cut in cuts if start < cut < start + len(one)]
        assert not inside or sum(max(size, 1) for size in one) > limit
        start += len(one)
    for first, last in itertools.pairwise(sorted(cuts)):
        assert last - first == 1 or sum(max(size, 1) for size in flat[first:last]) <= limit


def test_a_layout_of_sequences_keeps_them_together_in_a_seeded_order(tmp_path):
    layout = Layout(sequence_column="clip", order_column="t", row_group_bytes=2_000, part_bytes=5_000)
    rows = frames_of([5, 7, 3, 6, 4, 8, 2, 5])
    write_dataset(rows, FRAMES, tmp_path / "v1", seed=3, layout=layout)
    manifest, groups = stored_groups(tmp_path / "v1" / "train")
    assert manifest.order_by == ("clip", "t")
    flat = [row for group in groups for row in group]
    clips = sorted({clip for clip, _ in flat}, key=lambda clip: bucket(clip, 3))
    assert flat == [(clip, t) for clip in clips for t in range(sum(row["clip"] == clip for row in rows))]
    assert len(groups) > 2
    assert all(len({at for at, group in enumerate(groups) if clip in dict(group)}) == 1 for clip in clips)
    assert verify(tmp_path / "v1").rows == 40
    # The order of the input changes nothing, the seed does.
    assert write_dataset(rows[::-1], FRAMES, tmp_path / "v1", seed=3, layout=layout).is_new is False
    write_dataset(rows, FRAMES, tmp_path / "v2", seed=4, layout=layout)
    assert [row for group in stored_groups(tmp_path / "v2" / "train")[1] for row in group] != flat


def test_a_manifest_states_an_order_of_sequences_as_names_or_not_at_all(tmp_path):
    write_dataset(frames_of([2]), FRAMES, tmp_path / "v1")
    manifest = tmp_path / "v1" / "train" / "_manifest.json"
    assert "order_by" not in manifest.read_text()
    manifest.write_text(manifest.read_text().replace('"parts"', '"order_by": "clip", "parts"', 1))
    with pytest.raises(FormatError, match="order_by must be a list of texts, found 'clip'"):
        read_manifest(manifest.parent)


def test_sequences_of_a_dataset_that_was_written_for_them_are_whole_others_are_counted(tmp_path):
    rows = frames_of([9, 12, 10, 11, 8, 10, 9, 12], size=60)
    wanted = Sequence(length=4, by="clip", order="t")
    per_clip = sum(length - 3 for length in (9, 12, 10, 11, 8, 10, 9, 12))
    together = Layout(sequence_column="clip", order_column="t", row_group_bytes=2_000)
    write_dataset(rows, FRAMES, tmp_path / "kept", layout=together)
    write_dataset(rows, FRAMES, tmp_path / "spread", layout=Layout(row_group_bytes=2_000))
    found = {}
    for name in ("kept", "spread"):
        _, groups = stored_groups(tmp_path / name / "train")
        fields = (FRAMES[1], FRAMES[2])
        try:
            selection = select_in(groups, fields, sequence=wanted)
        except FormatError as error:
            found[name] = str(error)
            continue
        found[name] = (selection.samples, selection.sequences_cut)
    assert found["kept"] == (per_clip, 0)
    assert f"{per_clip} are cut by their borders; publish the dataset with Layout(sequence_column=" in found["spread"]


@pytest.mark.parametrize(
    ("layout", "rows", "message"),
    [
        ({"sequence_column": "clip"}, [], "sequence_column and order_column together, or neither"),
        ({"sequence_column": "clip", "order_column": "tt"}, [{"clip": "a", "t": 1}], r"rows lack the columns \['tt'\]"),
        ({"sequence_column": "clip", "order_column": "t"}, [{"clip": None, "t": 1}], "1 rows have no clip or no t"),
        ({"sequence_column": "clip", "order_column": "clip"}, [{"clip": "a", "t": 1}], "use numbers, timestamps or"),
        ({"sequence_column": "x", "order_column": "t"}, [{"clip": "a", "t": 1}], "use text or integers, not double"),
    ],
)
def test_a_layout_of_sequences_needs_both_columns_in_every_row(tmp_path, layout, rows, message):
    fields = (Field("entity_id", pa.string()), CLIP, TIME, Field("x", pa.float64()))
    with pytest.raises(FormatError, match=message):
        write_dataset([{"entity_id": "1", "x": 0.5, **row} for row in rows], fields, tmp_path / "v1",
                      layout=Layout(**layout))  # fmt: skip


def test_recordings_cut_into_frames_give_every_stretch_of_three(real_data, tmp_path):
    """Spoken digits in frames of a tenth of a second: audio contexts as a speech model wants them."""
    fields = (Field("entity_id", pa.string()), Field("clip", pa.string()), Field("t", pa.int64()),
              Field("sound", pa.binary(), codec="ndarray", shape=(800,), dtype="int16"))  # fmt: skip
    rows = []
    for path in sorted((real_data("fsdd") / "recordings").glob("*_theo_*.wav"))[:40]:
        with wave.open(str(path)) as file:
            sound = file.readframes(file.getnframes())
        rows += [{"entity_id": f"{path.stem}-{at}", "clip": path.stem, "t": at, "sound": frame}
                 for at in range(len(sound) // 1600) if (frame := sound[at * 1600 : at * 1600 + 1600])]  # fmt: skip
    frames = {name: sum(row["clip"] == name for row in rows) for name in {row["clip"] for row in rows}}
    layout = Layout(sequence_column="clip", order_column="t", row_group_bytes=20_000)
    write_dataset(rows, fields, tmp_path / "v1", layout=layout)
    _, groups = stored_groups(tmp_path / "v1" / "train")
    selection = select_in(groups, (FRAMES[1], FRAMES[2]), sequence=Sequence(length=3, by="clip", order="t"))
    assert selection.sequences_cut == 0
    assert selection.samples == sum(max(0, count - 2) for count in frames.values())
    for group, rows_here in enumerate(groups):
        for sample in selection.rows(group).tolist():
            (clip, first), second, third = (rows_here[row] for row in sample)
            assert (second, third) == ((clip, first + 1), (clip, first + 2))
