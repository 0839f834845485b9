"""Official splits: taken from a column, a folder or a group key, never guessed, never leaking."""

from __future__ import annotations

import pytest

from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.datasets.versions.find import find_dataset
from lakehouse.errors import RecipeError
from lakehouse.query import fetch
from lakehouse.tables.insert import insert_rows
from schemas.canonical import content_id
from schemas.tables import ENTITY_SOURCES
from tests.making import add_dimension, add_entities, add_opinions, entity_id, opinion, small_lake

NAMES = ["a", "b", "c", "d", "e"]


def recipe(official: str, *, sql: str = "select entity_id from entities", question: str = "", **split):
    return parse_recipe(
        {"name": "zoo", "question": question, "select": {"sql": sql}, "split": {"official": official} | split},
        where="zoo.toml",
    )


def seen(lake, *places: str, groups: dict[str, dict[str, str]] | None = None) -> None:
    """Observations from words like `train/cat/x.png=a`: the bytes `a` lay there."""
    rows = []
    for place in places:
        path, _, name = place.partition("=")
        rows.append(
            {"entity_id": entity_id(name), "landed_id": content_id(place), "source": "s", "drop_name": "main",
             "uri": f"file:///{path}", "path": path, "name": path.rpartition("/")[2],
             "group_keys": (groups or {}).get(name, {})}
        )  # fmt: skip
    insert_rows(lake, ENTITY_SOURCES, rows, step="test")


def splits(lake, receipt) -> dict[str, str]:
    rows = fetch(
        lake, "select * from gold.dataset_members where dataset_id = $id", params={"id": receipt.details["dataset_id"]}
    )
    names = {entity_id(name): name for name in NAMES}
    return {names[row["entity_id"]]: row["split"] for row in rows}


def left_out(lake, receipt) -> dict[str, str]:
    rows = fetch(
        lake,
        "select * from gold.dataset_exclusions where dataset_id = $id",
        params={"id": receipt.details["dataset_id"]},
    )
    names = {entity_id(name): name for name in NAMES}
    return {names[row["entity_id"]]: row["reason"] for row in rows}


def test_a_folder_says_the_split_and_a_file_in_none_is_left_out(lake):
    add_entities(lake, NAMES)
    seen(lake, "train/cat/a.png=a", "train/dog/b.png=b", "valid/cat/c.png=c", "d.png=d", "train/again.png=a")
    receipt = build(lake, recipe("folder:0", names={"valid": "val"}))
    assert splits(lake, receipt) == {"a": "train", "b": "train", "c": "val"}
    assert left_out(lake, receipt) == {"d": "no_split", "e": "no_split"}
    assert (receipt.counts["train"], receipt.counts["val"]) == (2, 1)
    assert find_dataset(lake, "zoo").splits == {"train": 2, "val": 1}


def test_a_deeper_folder_says_it_where_the_recipe_says_so(lake):
    add_entities(lake, NAMES[:2])
    seen(lake, "cat/train/a.png=a", "dog/test/b.png=b")
    assert splits(lake, build(lake, recipe("folder:1"))) == {"a": "train", "b": "test"}


def test_a_column_of_the_selection_says_it(lake):
    add_entities(lake, NAMES[:3], origins={"a": "synthetic"})
    sql = "select entity_id, case origin when 'synthetic' then 'train' else 'test' end as \"Part\" from entities"
    assert splits(lake, build(lake, recipe("column:part", sql=sql))) == {"a": "train", "b": "test", "c": "test"}


def test_the_column_that_says_it_may_be_called_split_and_is_no_field_of_the_samples(lake):
    add_entities(lake, NAMES[:2])
    sql = "select entity_id, 'train' as split, size_bytes as bytes_there from entities"
    build(lake, recipe("column:split", sql=sql))
    rows = fetch(lake, "select split, fields_json from gold.dataset_members")
    assert rows == [{"split": "train", "fields_json": '{"bytes_there":1}'}] * 2


def test_a_column_of_entities_wide_says_it_and_is_content(lake):
    add_entities(lake, NAMES[:2])
    add_dimension(lake, "width", {"a": 1, "b": 2}, kind="integer", extractor="image_header")
    first = build(lake, recipe("column:width", names={"1": "train", "2": "test"}))
    assert splits(lake, first) == {"a": "train", "b": "test"}
    add_dimension(lake, "width", {"b": 1}, kind="integer", extractor="image_header", version=2)
    second = build(lake, recipe("column:width", names={"1": "train", "2": "test"}))
    assert second.details["dataset_id"] != first.details["dataset_id"]
    assert {note.rule: note.count for note in second.notes} == {"moved": 1, "unused_name": 1}


def test_a_group_key_says_it(lake):
    add_entities(lake, NAMES[:3], groups={"a": {"fold": "train"}, "b": {"fold": "test"}})
    receipt = build(lake, recipe("key:fold"))
    assert splits(lake, receipt) == {"a": "train", "b": "test"}
    assert left_out(lake, receipt) == {"c": "no_split"}


def test_bytes_in_two_splits_stop_the_build_by_name_or_are_left_out(lake):
    add_entities(lake, NAMES[:3])
    seen(lake, "train/a.png=a", "test/a2.png=a", "train/b.png=b", "test/c.png=c")
    with pytest.raises(RecipeError, match=rf"1 entities are in several splits: {entity_id('a')} \(test, train\)"):
        build(lake, recipe("folder:0"))
    assert fetch(lake, "select * from gold.datasets") == []
    receipt = build(lake, recipe("folder:0", on_conflict="exclude"))
    assert (splits(lake, receipt), left_out(lake, receipt)) == ({"b": "train", "c": "test"}, {"a": "several_splits"})


def test_a_leak_group_in_two_splits_stops_the_build_by_name_or_is_left_out_whole(lake):
    patients = {"a": {"patient": "P"}, "b": {"patient": "P"}, "c": {"patient": "Q"}, "d": {"patient": "Q"}}
    add_entities(lake, NAMES[:4], groups=patients)
    seen(lake, "train/a.png=a", "test/b.png=b", "train/c.png=c")
    with pytest.raises(RecipeError, match=r"1 leak groups are in several splits: P \(test, train; for example "):
        build(lake, recipe("folder:0", group="patient"))
    receipt = build(lake, recipe("folder:0", group="patient", on_conflict="exclude"))
    assert splits(lake, receipt) == {"c": "train"}
    assert left_out(lake, receipt) == {"a": "several_splits", "b": "several_splits", "d": "no_split"}


def test_a_value_that_is_no_split_is_named_away(lake):
    add_entities(lake, NAMES[:3])
    seen(lake, "train/a.png=a", "misc/also.png=a", "test/b.png=b", "misc/c.png=c")
    receipt = build(lake, recipe("folder:0", names={"misc": ""}))
    assert (splits(lake, receipt), left_out(lake, receipt)) == ({"a": "train", "b": "test"}, {"c": "no_split"})


def test_a_name_that_nothing_has_is_noted_with_the_nearest(lake):
    add_entities(lake, NAMES[:2])
    seen(lake, "train/a.png=a", "valid/b.png=b")
    (note,) = build(lake, recipe("folder:0", names={"vaild": "val"})).notes
    assert note.rule == "unused_name"
    assert "did you mean `valid`" in note.example


def test_what_is_stated_is_part_of_the_version_and_where_else_files_lay_is_not(lake):
    add_entities(lake, NAMES[:2])
    seen(lake, "train/a.png=a")
    first = build(lake, recipe("folder:0")).details
    seen(lake, "train/again/a.png=a")
    assert build(lake, recipe("folder:0")).details == first
    seen(lake, "test/b.png=b")
    assert build(lake, recipe("folder:0")).details["dataset_id"] != first["dataset_id"]


@pytest.mark.parametrize(
    ("official", "message"),
    [
        ("folder:3", r"split\.official = 'folder:3': no file lies in a folder of level 3"),
        ("key:flod", r"no entity has a group key `flod`; did you mean `fold`"),
        ("column:widht", r"neither select\.sql nor entities_wide has this column; did you mean `width`"),
        ("column:brightness", r"it is of kind number; use text, whole numbers or booleans"),
        ("folder:1", r"'a b' cannot be the name of a split .*names = \{ 'a b' = \"train\" \}"),
    ],
)
def test_a_split_that_nothing_says_is_an_error_that_helps(lake, official, message):
    add_entities(lake, NAMES[:1], groups={"a": {"fold": "train"}})
    seen(lake, "train/a b/a.png=a")
    with pytest.raises(RecipeError, match=message):
        build(lake, recipe(official))


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"official": "floder:0"}, "split.official = 'floder:0'; use column:NAME, folder:LEVEL"),
        ({"official": "folder:x"}, "use column:NAME, folder:LEVEL"),
        ({"official": "folder:-1"}, "use column:NAME, folder:LEVEL"),
        ({"official": "column:a b"}, "use column:NAME"),
        ({"official": "key:"}, "use column:NAME"),
        ({"official": "folder:0", "ratios": {"train": 1.0}}, "leave split.ratios out"),
        ({"official": "folder:0", "names": {"valid": "../val"}}, "split.names has 'valid' = '../val'"),
        ({"names": {"valid": "val"}}, "split.names belongs to split.official"),
        ({"on_conflict": "exclude"}, "split.on_conflict belongs to split.official and split.fixed"),
        ({"on_join": "kep"}, "split.on_join = 'kep'; did you mean `keep`"),
        ({"official": "folder:0", "on_conflict": "leave"}, "split.on_conflict = 'leave'"),
    ],
)
def test_a_split_that_cannot_be_followed_is_refused_where_it_is_written(split, message):
    with pytest.raises(RecipeError) as caught:
        parse_recipe({"name": "zoo", "split": split}, where="zoo.toml")
    assert message in str(caught.value)


@pytest.mark.spark
def test_both_engines_split_count_and_compare_alike(lake, spark_lake):
    found = []
    for each in (lake, spark_lake):
        with small_lake(each.root) as told:  # by the embedded engine: what counts here is the build
            add_entities(told, NAMES, groups={"a": {"patient": "P"}, "b": {"patient": "P"}}, origins={"d": "synthetic"})
            seen(told, "train/a.png=a", "test/b.png=b", "train/c.png=c", "valid/d.png=d")
            add_opinions(told, [opinion(name, "human:ada", "x|y\\") for name in NAMES])
        by = {"question": "animal", "strata": {"by": ["label", "origin"], "max": 9}}
        official = {"official": "folder:0", "group": "patient", "on_conflict": "exclude", "names": {"valid": "val"}}
        ratios = {"group": "patient", "ratios": {"train": 0.5, "test": 0.5}}
        for split in (official, ratios, ratios | {"on_join": "keep"}):
            receipt = build(each, parse_recipe({"name": "zoo", "split": split} | by, where="zoo.toml"))
            found.append((receipt.details, dict(receipt.counts), [(note.rule, note.count) for note in receipt.notes]))
            with small_lake(each.root) as told:
                seen(told, "more/a.png=a", "more/e.png=e", groups={"a": {"patient": "Q"}, "e": {"patient": "Q"}})
    assert found[:3] == found[3:]
    strata = fetch(spark_lake, "select distinct stratum from gold.dataset_members order by stratum")
    assert [row["stratum"] for row in strata] == ["x\\|y\\\\|real", "x\\|y\\\\|synthetic"]


# --------------------------------------------------------------------------------- nobody in the end


def test_nobody_in_the_end_is_an_error_that_counts_the_reasons(lake):
    add_entities(lake, NAMES[:3])
    add_opinions(lake, [opinion("a", "model:cnn@1", "cat"), opinion("b", "model:cnn@1", "cat")])
    asking = {"name": "zoo", "question": "animal", "label": {"kinds": ["human"]}}
    with pytest.raises(RecipeError, match="no entity becomes a member: .*: 3 no_label .*2 by kind model"):
        build(lake, parse_recipe(asking, where="x"))
    add_opinions(lake, [opinion("a", "human:ada", "cat")])
    with pytest.raises(RecipeError, match="2 no_label, 1 below_quorum"):
        build(lake, parse_recipe(asking | {"label": {"kinds": ["human"], "quorum": 2}}, where="x"))
    assert fetch(lake, "select * from gold.datasets") == []
    assert fetch(lake, "select * from gold.dataset_exclusions") == []
