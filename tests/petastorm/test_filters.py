"""`filters` choose row groups by partitions and footers, and rows by their values, all three by the same conditions."""

from __future__ import annotations

import datetime
import random
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from loaders.errors import FormatError
from loaders.petastorm.rowgroups.folder import open_folder

UTC = datetime.UTC
START = datetime.datetime(2024, 1, 1)


def columns(n):
    """Return columns of every type that can be compared, with nulls, growing slowly."""
    rng = random.Random(n)
    some = [None if rng.random() < 0.2 else i // 3 for i in range(n)]

    def each(make, kind):
        return pa.array([None if i is None else make(i) for i in some], kind)

    return {
        "int": each(int, pa.int32()),
        "unsigned": each(lambda i: 2**63 + i, pa.uint64()),
        "real": each(lambda i: float("nan") if i % 5 == 4 else i / 4, pa.float64()),
        "half": each(np.float16, pa.float16()),
        "flag": each(lambda i: i > 6, pa.bool_()),
        "text": each(lambda i: f"t{i:03}é", pa.string()),
        "large": each(lambda i: f"t{i:03}", pa.large_string()),
        "word": each(lambda i: f"w{i // 4}", pa.string()).dictionary_encode(),
        "bytes": each(lambda i: b"\xff%d" % i, pa.binary()),
        "fixed": each(lambda i: b"%03d" % i, pa.binary(3)),
        "money": each(lambda i: Decimal(i) / 4, pa.decimal128(9, 2)),
        "day": each(lambda i: START.date() + datetime.timedelta(days=i), pa.date32()),
        "at": each(lambda i: START.replace(tzinfo=UTC) + datetime.timedelta(hours=i), pa.timestamp("us", "UTC")),
        "local": each(lambda i: START + datetime.timedelta(hours=i), pa.timestamp("ms")),
        "nano": each(lambda i: START + datetime.timedelta(hours=i), pa.timestamp("ns")),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Row groups of 10 rows in two partitions; a column changes its type, and one is new, in the second."""
    path = tmp_path_factory.mktemp("filtered")
    data = pa.table(columns(60))
    wider = data.set_column(0, "int", data["int"].cast(pa.int64())).append_column("new", pa.array(range(60)))
    wider = wider.set_column(wider.schema.get_field_index("nano"), "nano", data["nano"].cast(pa.timestamp("us")))
    for year, part in (("2023", data.slice(0, 30)), ("2024", wider.slice(30))):
        (path / f"year={year}").mkdir()
        pq.write_table(part, path / f"year={year}" / "x.parquet", row_group_size=10)
    with open_folder(path) as opened:
        yield opened


def chosen(folder, filters):
    """Return the numbers of rows that match, and of row groups that may hold some."""
    terms = [term for part in filters for term in (part if isinstance(part, list) else [part])]
    names = sorted({term[0] for term in terms}) or ["int"]
    groups = [piece for piece in folder.pieces if folder.may_match(piece, filters)]
    found = [folder.matches(folder.read(piece, names), filters) for piece in folder.pieces]
    assert all(piece in groups for piece, mask in zip(folder.pieces, found, strict=True) if mask.any())
    return np.flatnonzero(np.concatenate(found)).tolist(), [piece.ordinal for piece in groups]


COMPARE = {"=": pc.equal, "!=": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater,
           ">=": pc.greater_equal}  # fmt: skip


@pytest.mark.parametrize("name", list(columns(1)))
def test_rows_match_as_arrow_compares_them(folder, name):
    data = pa.concat_tables([folder.read(piece, [name]).cast(pa.schema([folder.schema.field(name)]))
                             for piece in folder.pieces])[name].combine_chunks()  # fmt: skip
    if name == "half":
        data = data.cast(pa.float32())  # Arrow does not compare halves
    for at in (0, 13, 31, 59):
        value = data.drop_null()[min(at, len(data.drop_null()) - 1)]
        given = value.cast(pa.timestamp("us")).as_py() if name == "nano" else value.as_py()
        if isinstance(given, float) and np.isnan(given):
            given, value = 1.0, pa.scalar(1.0)
        for operator, reference in COMPARE.items():
            if name == "flag" and operator not in ("=", "!="):
                continue
            wanted = np.flatnonzero(reference(data, value).fill_null(False)).tolist()
            assert chosen(folder, [(name, operator, given)])[0] == wanted, (name, operator, given)
        inside = chosen(folder, [(name, "in", [given])])[0]
        outside = chosen(folder, [(name, "not in", {given})])[0]
        assert inside == chosen(folder, [(name, "==", given)])[0]
        assert sorted(inside + outside) == np.flatnonzero(data.is_valid()).tolist(), "a null matches neither"


def test_partitions_and_footers_leave_row_groups_out(folder):
    assert chosen(folder, [("year", "=", 2024)])[1] == [3, 4, 5]
    assert chosen(folder, [("year", "in", ["2023"])])[1] == [0, 1, 2], "as Petastorm takes text for an integer"
    assert chosen(folder, [("int", ">=", 18)])[1] == [5]
    assert chosen(folder, [("at", "<", (START + datetime.timedelta(hours=2)).replace(tzinfo=UTC))])[1] == [0]
    assert chosen(folder, [("nano", "<", START + datetime.timedelta(hours=2))])[1] == [0]
    assert chosen(folder, [("new", ">", 0)])[1] == [3, 4, 5], "the others lack the column"
    assert chosen(folder, [[("year", "=", 2023), ("int", ">", 100)], [("int", "=", 0)]])[1] == [0]
    assert chosen(folder, []) == (list(range(60)), list(range(6)))


def test_footers_are_read_only_where_partitions_leave_it_open(folder, monkeypatch):
    with open_folder(f"{folder.root}/year=2023/x.parquet") as alone:
        filters = [("year", "!=", 2023), ("int", ">", 1)]
        assert alone.may_match_partitions(alone.pieces[0], filters) is False
        monkeypatch.setattr(alone, "_bounds", None)
        assert alone.may_match(alone.pieces[0], filters) is False


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ([("int", ">", "a")], "filter on int: the column holds int64, which cannot be compared with 'a' (str)"),
        ([("text", "=", 3)], "filter on text: the column holds string, which cannot be compared with 3 (int)"),
        ([("local", "<", START.replace(tzinfo=UTC))], "filter on local: the column holds timestamp[ms]"),
        ([("year", "=", "x")], "filter on year: the column holds int64"),
        ([("nit", "=", 1)], "there is no column 'nit'; did you mean 'int'?"),
        ([("int", "~", 1)], "filter on int: unknown operator '~'"),
        ([("int", "in", 1)], "filter on int: 'in' needs a list of values, found 1"),
        ("int = 1", "a filter is a list of terms"),
    ],
)
def test_what_does_not_fit_is_a_value_error_that_names_it(folder, filters, message):
    with pytest.raises(FormatError) as caught:
        folder.may_match_partitions(folder.pieces[0], filters)
    assert message in str(caught.value)
    assert isinstance(caught.value, ValueError)
