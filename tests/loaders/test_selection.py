"""Selections: which samples are read, under which name, and what was read to find out."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders import Field, Layout, Shuffle, StateMismatchError, make_reader, write_dataset
from loaders.errors import FormatError
from loaders.ordering.bounds import Bounds, bounds_of
from loaders.ordering.selection import select
from loaders.ordering.sequences import Sequence
from loaders.reading.source import SplitFiles

FIELDS = (Field("n", pa.int64()), Field("name", pa.string(), nullable=True), Field("unused", pa.int64()))
PRINT = "f" * 64


class Groups:
    """Row groups in memory; keeps account of what was read."""

    def __init__(self, *groups, fields=FIELDS):
        self.fields = fields
        types = {field.name: field.type for field in fields}
        self.tables = [pa.table({name: pa.array(column, types[name]) for name, column in each.items()})
                       for each in groups]  # fmt: skip
        self.reads = []

    def select(self, fingerprint=PRINT, **wanted):
        return select(self.fields, fingerprint, [table.num_rows for table in self.tables],
                      statistics=self.statistics, read_columns=self.read, **wanted)  # fmt: skip

    def statistics(self, group, field):
        column = self.tables[group].column(field.name)
        values = [value for value in column.to_pylist() if value is not None]
        return Bounds(len(column), column.null_count, min(values, default=None), max(values, default=None))

    def read(self, group, names):
        self.reads.append((group, tuple(names)))
        return self.tables[group].select(names)


def small():
    return Groups({"n": [1, 2, 3], "name": ["a", None, "b"]}, {"n": [4, 5], "name": ["c", "c"]},
                  {"n": [6], "name": ["a"]})  # fmt: skip


def rows_of(selection):
    return [selection.rows(group).tolist() for group in range(len(selection.samples_by_group))]


def test_everything_is_read_under_the_name_of_the_split_and_nothing_is_looked_at():
    groups = small()
    selection = groups.select()
    assert (selection.samples_by_group, selection.length, selection.fingerprint) == ((3, 2, 1), 1, PRINT)
    assert rows_of(selection) == [[[0], [1], [2]], [[0], [1]], [[0]]]
    assert groups.reads == []


def test_a_filter_chooses_rows_and_reads_only_its_columns_of_possible_row_groups():
    groups = small()
    selection = groups.select(filter=[("n", ">=", 3), ("name", "!=", "a")])
    assert selection.samples_by_group == (1, 2, 0)
    assert rows_of(selection) == [[[2]], [[0], [1]], []]
    assert all(selection.rows(group).shape[1] == 1 and selection.rows(group).dtype == np.int64 for group in range(3))
    assert groups.reads == [(0, ("n", "name")), (1, ("n", "name"))]
    assert (selection.samples, selection.groups_skipped, selection.sequences_cut) == (3, 1, 0)


def test_the_name_of_a_selection_says_the_data_and_what_is_chosen_of_it():
    groups = small()
    one = groups.select(filter=[("n", ">=", 3)]).fingerprint
    # Saved states rest on this very text.
    assert one == hashlib.sha256(f'["{PRINT}",[[["n",">=",[3]]]],null]'.encode()).hexdigest()
    assert groups.select(filter=[[["n", ">=", 3.0]]]).fingerprint == one
    others = {
        groups.select(filter=[("n", ">=", 2)]).fingerprint,
        groups.select("e" * 64, filter=[("n", ">=", 3)]).fingerprint,
        groups.select(sequence=Sequence(length=1, order="n")).fingerprint,
        groups.select(sequence=Sequence(length=1, order="n"), filter=[("n", ">=", 3)]).fingerprint,
        groups.select(filter=[("n", ">", 2)]).fingerprint,
    }
    assert len(others - {one, PRINT}) == 5


def test_row_groups_can_be_looked_at_by_several_threads():
    with ThreadPoolExecutor(3) as pool:
        found = small().select(filter=[("name", "in", ["a", "b"])], spread=pool.map)
    assert rows_of(found) == rows_of(small().select(filter=[("name", "in", ["a", "b"])])) == [[[0], [2]], [], [[0]]]


def test_a_filter_that_matches_nothing_is_an_error_and_not_an_empty_epoch():
    groups = small()
    with pytest.raises(FormatError, match=r"the filter \[\('n', '>', 6\)\] matches none of 6 rows"):
        groups.select(filter=[("n", ">", 6)])
    assert groups.reads == [], "the statistics alone say so"


def test_a_filter_may_name_columns_that_are_not_delivered_but_no_unknown_ones():
    assert small().select(filter=[("n", "=", 4)]).samples == 1
    with pytest.raises(FormatError, match="there is no column 'nmae'; did you mean 'name'?"):
        small().select(filter=[("nmae", "=", 4)])


@pytest.mark.parametrize("seed", range(20))
def test_a_published_split_gives_the_rows_that_a_scan_finds(published_groups, seed):
    tables, select_here = published_groups
    random = np.random.default_rng(seed)
    low, label = int(random.integers(0, 100)), int(random.integers(0, 10))
    wanted = [[("number", ">=", low), ("label_index", "!=", label)], [("weight", "is null"), ("number", "<", 20)]]
    selection = select_here(filter=wanted)
    expected = [
        [at for at, row in enumerate(table.to_pylist())
         if (row["number"] >= low and row["label_index"] != label) or (row["weight"] is None and row["number"] < 20)]
        for table in tables
    ]  # fmt: skip
    assert [rows[:, 0].tolist() for rows in map(selection.rows, range(len(tables)))] == expected
    assert selection.samples_by_group == tuple(map(len, expected))


def test_statistics_of_a_published_split_exclude_row_groups(published_groups):
    tables, select_here = published_groups
    one = 2
    selection = select_here(filter=[("number", "=", one)])
    assert selection.samples == 1
    assert selection.groups_skipped > 0
    spans = [(min(numbers), max(numbers)) for numbers in (table.column("number").to_pylist() for table in tables)]
    assert selection.groups_skipped == sum(not low <= one <= high for low, high in spans)
    by_text = select_here(filter=[("entity_id", "=", f"id-{one:04d}")])
    assert by_text.samples == 1
    assert by_text.groups_skipped == selection.groups_skipped


@pytest.fixture(scope="module")
def published_groups(train):
    """The row groups of a published split as pyarrow reads them, and a selection through the split itself."""
    split = SplitFiles(train)
    files = [pq.ParquetFile(train / part.name) for part in split.manifest.parts]
    tables = [file.read_row_group(at) for file in files for at in range(file.metadata.num_row_groups)]

    def statistics(group, field):
        return bounds_of(split.statistics(group, field.name), field, split.rows_by_group[group])

    def select_here(**wanted):
        return select(
            split.fields, split.manifest.fingerprint, split.rows_by_group, statistics=statistics,
            read_columns=split.read_group, **wanted)  # fmt: skip

    yield tables, select_here
    split.close()


def test_a_reader_delivers_what_the_filter_leaves_and_refuses_a_state_of_another(train):
    def opened(filter):
        return make_reader(train, batch_size=8, columns=["entity_id"], shuffle=Shuffle(seed=1), filter=filter)

    with opened([("number", "<", 30)]) as reader, opened([("number", "<", 31)]) as other:
        names = [name for batch in reader for name in np.array(batch["entity_id"])[~batch["is_pad"]]]
        assert sorted(names) == [f"id-{number:04d}" for number in range(30)]
        assert reader.rows == 30
        with pytest.raises(StateMismatchError, match="fingerprint"):
            other.load_state_dict(reader.state_dict())


def test_a_reader_delivers_sequences_with_an_axis_of_their_own(tmp_path):
    fields = (Field("entity_id", pa.string()), Field("clip", pa.string()), Field("t", pa.int64()))
    rows = [{"entity_id": f"{clip}{t}", "clip": clip, "t": t} for clip in "abc" for t in range(6)]
    write_dataset(rows, fields, tmp_path / "v1", layout=Layout(sequence_column="clip", order_column="t"))
    wanted = Sequence(length=4, by="clip", order="t", stride=2)
    with make_reader(tmp_path / "v1" / "train", batch_size=6, sequence=wanted) as reader:
        (batch,) = reader
    assert batch["t"].shape == (6, 4)
    assert {(names[0], *times) for names, times in zip(batch["clip"], batch["t"].tolist(), strict=True)} == {
        (clip, *range(start, start + 4)) for clip in "abc" for start in (0, 2)
    }
    assert batch["entity_id"][0] == [f"{batch['clip'][0][0]}{t}" for t in batch["t"][0]]
