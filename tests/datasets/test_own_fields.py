"""Extra columns of a selection are typed fields of the samples; none vanishes, none changes on the way."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.datasets.selecting.own_fields import BUILT_IN
from lakehouse.datasets.versions.find import find_dataset
from lakehouse.errors import RecipeError
from lakehouse.materialise.samples import sample_table
from lakehouse.materialise.step import materialise
from lakehouse.query import fetch
from loaders import make_reader, read_manifest
from tests.making import add_dimension, add_entities, add_opinions, entity_id, opinion, small_lake

NAMES = ["n0", "n1", "n2", "ä"]


@pytest.fixture
def zoo(lake):
    """Four entities with their bytes; three of them are measured."""
    add_entities(lake, NAMES, groups={"n0": {"patient": "p"}})
    for name in NAMES:
        path = lake.root / "objects" / entity_id(name)[:2] / entity_id(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    add_dimension(lake, "brightness", {"n0": 0.5, "n1": 7, "n2": 1e-9})
    return lake


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two entities, shared by tests of builds that must not succeed."""
    with small_lake(tmp_path_factory.mktemp("pair") / "lake") as shared:
        add_entities(shared, NAMES[:2])
        yield shared


def recipe(sql: str, **more):
    record = {"name": "zoo", "select": {"sql": sql}, "split": {"ratios": {"train": 1.0}}} | more
    return parse_recipe(record, where="zoo.toml")


def published(lake, sql: str, **more):
    """Fields and rows of what a recipe publishes, by name of the entity."""
    dataset_id = build(lake, recipe(sql, **more)).details["dataset_id"]
    folder = lake.root / materialise(lake, dataset_id).details["folder"] / "train"
    names = {entity_id(name): name for name in NAMES}
    rows = pa.concat_tables(pq.read_table(path, partitioning=None) for path in folder.glob("*.parquet")).to_pylist()
    fields = {field.name: field for field in read_manifest(folder).fields}
    return folder, fields, {names[row["entity_id"]]: row for row in rows}


def test_columns_beside_entity_id_come_with_every_sample_and_a_missing_value_is_null(zoo):
    sql = "select entity_id, brightness, group_keys['patient'] as patient, size_bytes * 2 as twice from entities_wide"
    folder, fields, rows = published(zoo, sql)
    found = {name: (row["brightness"], row["patient"], row["twice"]) for name, row in rows.items()}
    assert found == {"n0": (0.5, "p", 4), "n1": (7.0, None, 4), "n2": (1e-9, None, 4), "ä": (None, None, 4)}
    assert [(name, fields[name].type_name, fields[name].nullable) for name in ("brightness", "patient", "twice")] == [
        ("brightness", "float64", True),
        ("patient", "string", True),
        ("twice", "int64", False),
    ]
    with make_reader(folder, batch_size=4, columns=["brightness", "twice"]) as reader:
        batch = next(reader)
    assert np.ma.is_masked(batch["brightness"])
    assert batch["twice"].tolist() == [4, 4, 4, 4]


TYPES = {
    "true": ("bool", True),
    "cast(-3 as tinyint)": ("int8", -3),
    "cast(18446744073709551615 as ubigint)": ("uint64", 2**64 - 1),
    "cast(0.1 as float)": ("float32", float(np.float32(0.1))),
    "cast(1e300 as double)": ("float64", 1e300),
    "cast(2 as double)": ("float64", 2.0),
    "cast('nan' as double)": ("float64", None),
    "'e' || chr(769)": ("string", "e\u0301"),
    "'a'::enum('a', 'b')": ("string", "a"),
    "timestamptz '2024-01-02 03:04:05.678901+02'": (
        "timestamp[us, UTC]",
        datetime(2024, 1, 2, 1, 4, 5, 678901, tzinfo=UTC),
    ),
    "timestamp '0001-01-01 00:00:00'": ("timestamp[us, UTC]", datetime(1, 1, 1, tzinfo=UTC)),
    "date '2024-02-29'": ("date32", date(2024, 2, 29)),
    "[1, 2]": ("list<int32>", [1, 2]),
    "cast([0.5, 2] as float[2])": ("list<float32>", [0.5, 2.0]),
    "['a', 'b']": ("list<string>", ["a", "b"]),
    "cast(null as bigint)": ("int64", None),
}


def test_a_value_of_every_type_is_read_as_it_was_selected(zoo):
    columns = ", ".join(f"{sql} as c{number}" for number, sql in enumerate(TYPES))
    _, fields, rows = published(zoo, f"select entity_id, {columns} from entities")
    for number, (kind, value) in enumerate(TYPES.values()):
        assert (fields[f"c{number}"].type_name, rows["ä"][f"c{number}"]) == (kind, value)
        assert fields[f"c{number}"].nullable == (value is None)


def test_lists_of_numbers_of_one_length_come_as_one_array_and_others_as_a_list(zoo):
    sql = "select entity_id, [1, 2, 3] as three, range(size_bytes) as some from entities"
    folder, fields, _ = published(zoo, sql)
    assert (fields["three"].shape, fields["some"].shape) == ((3,), (2,))
    add_entities(zoo, ["xyz"])
    (zoo.root / "objects" / entity_id("xyz")[:2]).mkdir(exist_ok=True)
    (zoo.root / "objects" / entity_id("xyz")[:2] / entity_id("xyz")).write_bytes(b"xyz")
    NAMES.append("xyz")
    try:
        folder, fields, _ = published(zoo, sql)
    finally:
        NAMES.remove("xyz")
    assert (fields["three"].shape, fields["some"].shape) == ((3,), None)
    with make_reader(folder, batch_size=5, columns=["three", "some"]) as reader:
        batch = next(reader)
    assert batch["three"].shape == (5, 3)
    assert sorted(map(len, batch["some"])) == [2, 2, 2, 2, 3]


@pytest.mark.parametrize("name", sorted(BUILT_IN - {"entity_id"} | {"Label", "IMAGE"}))
def test_a_name_that_every_sample_has_is_refused_and_says_how_to_give_another(pair, name):
    with pytest.raises(RecipeError, match=f"zoo: select.sql: column `{name}`: every sample has .* with `as`"):
        build(pair, recipe(f'select entity_id, 1 as "{name}" from entities'))
    assert fetch(pair, "select * from gold.datasets") == []


@pytest.mark.parametrize(("columns", "message"), [
    ("1 as a, 2 as a", "column `a`: it is there twice"),
    ('1 as a, 2 as "A"', "column `A`: it is there twice"),
    ('1 as "my column"', "column `my column`: the name of a field begins with a letter"),
    ("1 as _hidden", "column `_hidden`: the name of a field"),
    ("1 as é", "column `é`: the name of a field"),
    ("count(*) over ()", "column `count.*`: the name of a field"),
    ("group_keys as g", r"column `g` is of type map<string, string>.*group_keys\['patient'\]"),
    ("{'a': 1} as s", "column `s` is of type struct.*select its parts"),
    ("interval 1 day as i", "column `i` is of type month_day_nano_interval"),
    ("0.5 as d", "column `d` is of type decimal.*cast it to double"),
    ("sum(1) over () as h", "column `h` is of type decimal.*bigint"),
    ("time '10:00' as t", "column `t` is of type time.*varchar"),
    ("'x'::blob as b", "column `b` is of type binary"),
    ("[[1]] as l", "column `l` is of type list<"),
    ("cast('inf' as double) as f", "column `f`: a value is infinite"),
    ("[1.5::double, null] as l", "column `l`: a list holds NULL"),
    ("timestamp 'infinity' as t", "column `t`: a time is finer than microseconds, or outside"),
    ("timestamp_ns '2020-01-01 00:00:00.123456789' as t", "column `t`: a time is finer than microseconds"),
])  # fmt: skip
def test_what_cannot_be_a_field_is_refused_by_name_and_type(pair, columns, message):
    with pytest.raises(RecipeError, match=f"recipe zoo: select.sql: {message}"):
        build(pair, recipe(f"select entity_id, {columns} from entities"))
    assert fetch(pair, "select * from gold.datasets") == []


def test_an_entity_with_two_values_is_an_error_that_names_it_and_with_one_twice_counts_once(pair):
    twice = "select entity_id, {} as x from entities cross join (values (1), (2)) v(n)"
    with pytest.raises(RecipeError, match=r"zoo: select.sql: entity [0-9a-f]{64} is selected with .*\"x\":1"):
        build(pair, recipe(twice.format("n")))
    with pytest.raises(RecipeError, match="is selected with"):
        build(pair, recipe(twice.format("nullif(n, 1)")))
    assert build(pair, recipe(twice.format("cast('nan' as double)"))).counts["members"] == 2


def test_the_values_are_content_of_the_members_and_no_columns_leave_no_trace(tmp_path, clock):
    digests = {}
    for place, sql in enumerate(
        [
            "select entity_id from entities",
            "select entity_id, 1 as x from entities",
            "select entity_id, 2 as x from entities",
        ]
    ):
        found = []
        for order in ("a", "b"):
            with small_lake(tmp_path / f"{place}{order}", clock=clock) as lake:
                for name in random.Random(order).sample(NAMES, len(NAMES)):
                    add_entities(lake, [name])
                details = build(lake, recipe(sql)).details
                found.append((details["dataset_id"], details["members_digest"]))
                rows = fetch(lake, "select distinct fields_json from gold.dataset_members")
                assert rows == [{"fields_json": f'{{"x":{place}}}' if place else None}]
                fields = {"x": "int32"} if place else {}
                assert find_dataset(lake, "zoo").fields == fields
        assert found[0] == found[1]
        digests[sql] = found[0]
    assert len(set(digests.values())) == 3


def test_own_columns_stand_beside_labels(zoo):
    add_opinions(zoo, [opinion(name, "human:ann", "cat") for name in NAMES])
    _, fields, rows = published(zoo, "select entity_id, size_bytes as bytes from entities", question="animal")
    assert list(fields)[-4:] == ["label", "label_index", "label_probs", "bytes"]
    assert {row["bytes"] for row in rows.values()} == {2}


def test_no_field_that_the_lake_makes_is_free_for_others():
    row = {
        "entity_id": ["x"],
        "media_type": ["image/png"],
        "weight": [1.0],
        "split": ["all"],
        "size_bytes": [1],
        "place": ["o#x"],
        "source_id": ["x"],
        "operation": pa.array([None], pa.string()),
        "label": ["b"],
    }
    votes = pa.array([[("b", 3)]], pa.map_(pa.string(), pa.int64()))
    samples = sample_table(pa.table(row).append_column("label_votes", votes), ("b",))
    assert {field.name for field in samples.fields} | set(samples.rows.column_names) <= BUILT_IN
