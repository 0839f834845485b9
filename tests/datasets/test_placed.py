"""Who goes where by more than a hash: several group keys, fixed versions, time, folds; a leak group never splits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

import lakehouse as lh
from lakehouse.datasets.placing.placed import by_time
from lakehouse.datasets.preview import plan_dataset
from lakehouse.datasets.recipes.recipe import parse_recipe, recipe_of
from lakehouse.datasets.versions.tags import tag_dataset
from lakehouse.errors import RecipeError
from loaders import Shuffle, make_reader, mix
from tests.datasets.pictures import bring_pictures
from tests.making import add_entities, entity_id, small_lake
from tests.parity.world import opened

NAMES = [f"n{number:02}" for number in range(40)]
HALVES = {"train": 0.5, "test": 0.5}
DAY = datetime(2026, 1, 1, tzinfo=UTC)


def recipe(sql: str = "select entity_id from entities", *, name: str = "zoo", **split):
    return parse_recipe({"name": name, "select": {"sql": sql}, "split": split}, where="zoo.toml")


def placed(lake, receipt) -> dict[str, str]:
    """Name -> split."""
    rows = lh.fetch(
        lake,
        "select entity_id, split from gold.dataset_members where dataset_id = $id",
        params={"id": receipt.details["dataset_id"]},
    )
    names = {entity_id(name): name for name in [*NAMES, *(f"m{number:02}" for number in range(40))]}
    return {names[row["entity_id"]]: row["split"] for row in rows}


def left_out(lake, receipt) -> list[str]:
    rows = lh.fetch(
        lake,
        "select reason from gold.dataset_exclusions where dataset_id = $id order by reason",
        params={"id": receipt.details["dataset_id"]},
    )
    return [row["reason"] for row in rows]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """40 entities: pairs share a patient, n00 to n03 a site, which is called as a patient is."""
    with small_lake(tmp_path_factory.mktemp("shared") / "lake") as lake:
        fill(lake)
        yield lake


def fill(lake) -> None:
    groups = {name: {"patient": f"p{number // 2}"} for number, name in enumerate(NAMES)}
    for name in NAMES[:4]:
        groups[name]["site"] = "p9"
    add_entities(lake, NAMES, groups=groups)


# A time for all but the last entity: n00 and n01 on the first day, n02 and n03 on the second ...
BY_DAY = """
select entity_id, case when row_number() over (order by k) < 40
    then timestamp '2026-01-01' + to_days(cast((row_number() over (order by k) - 1) // 2 as integer)) end as taken
from (select entity_id, cast(substr(group_keys['patient'], 2) as integer) * 2 + row_number() over (
    partition by group_keys['patient'] order by entity_id) as k from entities) numbered
"""


# ------------------------------------------------------------------------------------------ several keys


def test_a_group_is_what_any_of_several_keys_holds_together_and_equal_values_of_two_keys_are_two(shared):
    lh.build(shared, recipe(group=["site", "patient"]))
    rows = lh.fetch(
        shared,
        "select group_id, count(*) as n, count(distinct split) as splits "
        "from gold.dataset_members group by group_id order by n desc, group_id",
    )
    assert [row["n"] for row in rows] == [4, *[2] * 18]
    assert rows[0]["group_id"] == "patient=p0"  # and patient=p1 and site=p9, but not patient=p9
    assert {row["splits"] for row in rows} == {1}


def test_one_key_in_a_list_is_that_key_and_the_order_of_several_says_nothing():
    assert recipe(group=["patient"]).canonical() == recipe(group="patient").canonical()
    assert recipe(group=["b", "a"]).canonical() == recipe(group=["a", "b"]).canonical()
    assert recipe(group=[]).canonical() == recipe().canonical()
    both = recipe(group=["a", "b"])
    assert recipe_of(both.canonical(), where="lake").split.keys == both.split.keys


# -------------------------------------------------------------------------------------------------- fixed


@pytest.fixture(scope="module")
def held(shared):
    """A version of ten entities that are to be the test set: the first of ten patients."""
    wanted = [entity_id(name) for name in NAMES[0:20:2]]
    first = parse_recipe(
        {"name": "held", "select": {"sql": "select entity_id from entities where entity_id in $ids",
                                    "params": {"ids": wanted}}, "split": {"ratios": {"all": 1.0}}}, where="held.toml",
    )  # fmt: skip
    version = lh.build(shared, first).details["dataset_id"]
    tag_dataset(shared, "held", "golden")
    return version


@pytest.mark.parametrize("form", ["held", "held@golden", "{version}", "held@{version}"])
def test_members_of_a_fixed_version_keep_their_split_and_their_leak_groups_go_along(shared, held, form):
    made = recipe(fixed={"test": form.format(version=held)}, group="patient", ratios={"train": 0.8, "val": 0.2})
    receipt = lh.build(shared, made)
    found = placed(shared, receipt)
    assert {name for name, split in found.items() if split == "test"} == set(NAMES[:20])
    assert set(found.values()) == {"train", "val", "test"}
    assert receipt.counts["test"] == 20


def test_what_a_name_stands_for_is_content_of_the_version(shared, held):
    made = recipe(fixed={"test": "held"}, name="follows")
    before = lh.build(shared, made).details["dataset_id"]
    other = parse_recipe({"name": "held", "select": {"sql": f"select '{entity_id('n39')}' as entity_id"},
                          "split": {"ratios": {"all": 1.0}}}, where="held.toml")  # fmt: skip
    shared.clock.forward(hours=1)
    lh.build(shared, other)
    after = lh.build(shared, made)
    assert after.details["dataset_id"] != before
    assert placed(shared, after)["n39"] == "test"
    assert "moved" in {note.rule for note in after.notes}
    shared.clock.forward(hours=1)
    # Built again, the first one is what the name stands for.
    lh.build(shared, parse_recipe(version_record(shared, held), where="held.toml"))
    assert lh.build(shared, made).details["dataset_id"] == before


def version_record(lake, version):
    import json

    row = lh.fetch(lake, "select recipe_json from gold.datasets where dataset_id = $id", params={"id": version})[0]
    record = json.loads(row["recipe_json"])
    return record | {"split": {"ratios": dict(record["split"]["ratios"])}}


def test_what_two_versions_fix_to_two_splits_stops_the_build_or_is_left_out(shared, held):
    both = {"test": held, "val": held}
    with pytest.raises(RecipeError, match=r"split.fixed: 10 entities, with their leak groups, .* \(test, val\)"):
        lh.build(shared, recipe(fixed=both))
    receipt = lh.build(shared, recipe(fixed=both, on_conflict="exclude", group="patient"))
    assert left_out(shared, receipt) == ["several_splits"] * 20


# --------------------------------------------------------------------------------------------------- time


def test_edges_cut_time_an_instant_on_an_edge_belongs_to_the_later_and_no_time_is_left_out(shared):
    edges = [DAY + timedelta(days=10), DAY + timedelta(days=15)]
    receipt = lh.build(shared, recipe(BY_DAY, time="taken", edges=edges))
    found = placed(shared, receipt)
    assert [found[name] for name in NAMES[:-1]] == ["train"] * 20 + ["val"] * 10 + ["test"] * 9
    assert left_out(shared, receipt) == ["no_time"]


def test_shares_cut_between_instants_and_a_group_is_as_late_as_its_latest(shared):
    ratios = {"train": 0.51, "test": 0.49}
    found = placed(shared, lh.build(shared, recipe(BY_DAY, time="taken", ratios=ratios, group="site")))
    # 0.51 of 39 is within the tenth day, and 20 are before the eleventh.
    assert [found[name] for name in NAMES[:-1]] == ["train"] * 20 + ["test"] * 19
    edges = [DAY + timedelta(days=1)]
    late = placed(shared, lh.build(shared, recipe(BY_DAY, time="taken", ratios=HALVES, group="site", edges=edges)))
    assert {late[name] for name in NAMES[:4]} == {"test"}  # n00 is of the first day, but of the site of n03


def test_equal_instants_are_all_on_one_side():
    made = recipe(time="taken", ratios={"train": 0.8, "test": 0.2})
    assert set(by_time(made, {f"e{n}": DAY for n in range(10)}, {}).values()) == {"train"}
    two = {f"e{n}": DAY + timedelta(days=n // 8) for n in range(10)}
    assert list(by_time(made, two, {}).values()) == ["train"] * 8 + ["test"] * 2
    assert set(by_time(recipe(time="taken", ratios={"train": 0.0, "test": 1.0}), two, {}).values()) == {"test"}


# -------------------------------------------------------------------------------------------------- folds


def test_folds_are_splits_of_like_size_and_a_fixed_test_set_is_in_none(shared, held):
    found = placed(shared, lh.build(shared, recipe(folds=4, group="patient")))
    assert set(found.values()) == {"fold0", "fold1", "fold2", "fold3"}
    assert all(found[one] == found[other] for one, other in zip(NAMES[::2], NAMES[1::2], strict=True))
    with_test = placed(shared, lh.build(shared, recipe(folds=4, group="patient", fixed={"test": held})))
    assert {name: split for name, split in with_test.items() if split != "test"} == {
        name: split for name, split in found.items() if name not in NAMES[:20]
    }


def test_all_folds_but_one_are_read_together_each_row_once(lake, tmp_path):
    bring_pictures(lake, tmp_path / "pictures", "abcdefghijklmnop")
    version = lh.build(lake, recipe(folds=4)).details["dataset_id"]
    folder = lake.root / lh.materialise(lake, version).details["folder"]
    # As docs/datasets.md says.
    names = [path.name for path in sorted(folder.glob("fold*")) if path.name != "fold0"]
    folds = {name: make_reader(folder / name, batch_size=1, shuffle=Shuffle(seed=1)) for name in names}
    rows = {name: Fraction(reader.rows) for name, reader in folds.items()}
    with mix(folds, weights=rows, batch_size=1, seed=1, stop="first") as training:
        seen = [str(entity) for batch in training for entity in batch["entity_id"]]
    wanted = lh.fetch(lake, "select entity_id from gold.dataset_members where split <> 'fold0' order by entity_id")
    assert sorted(seen) == [row["entity_id"] for row in wanted]


# ------------------------------------------------------------------------------------------------- growth


@pytest.mark.parametrize(
    "split", [{"folds": 5, "group": ["patient", "site"]}, {"time": "captured", "edges": [DAY], "ratios": HALVES}]
)
def test_ten_percent_more_move_nobody(lake, split):
    fill(lake)
    sql = """
        select entity_id, timestamp '2025-12-31' + to_hours(cast(3 * (ascii(right(entity_id, 1)) % 16) as integer))
            as captured from entities
    """
    before = placed(lake, lh.build(lake, recipe(sql, **split)))
    add_entities(lake, ["m00", "m01", "m02", "m03"], groups={"m00": {"patient": "p3"}, "m01": {"site": "p9"}})
    after = lh.build(lake, recipe(sql, **split))
    assert "moved" not in {note.rule for note in after.notes}
    now = placed(lake, after)
    assert len(now) == 44
    assert {name: now[name] for name in before} == before


# -------------------------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"group": ["a", "a"]}, "name each group key once"),
        ({"group": ["a", ""]}, "name each group key once"),
        ({"folds": 1}, "split.folds = 1; give 2 to 100"),
        ({"folds": 4, "ratios": HALVES}, "split.folds are equal shares; leave split.ratios out"),
        ({"folds": 4, "time": "taken"}, "split.folds are chosen by hash"),
        ({"edges": [DAY]}, "split.edges belongs to split.time"),
        ({"time": "taken", "edges": [DAY]}, r"1 times for 3 splits \(train, val, test\); 2 stand between"),
        ({"time": "taken", "edges": [DAY, DAY]}, "split.edges must rise"),
        ({"time": "a b"}, "is not the name of a column"),
        ({"official": "folder:0", "time": "taken"}, "leave split.time out"),
        ({"official": "folder:0", "fixed": {"test": "x"}}, "leave split.fixed out"),
        ({"fixed": {"Test": "x"}}, "split.fixed has 'Test'"),
        ({"fixed": {"test": ""}}, "split.fixed.test names no dataset version"),
        ({"on_conflict": "exclude"}, "belongs to split.official and split.fixed"),
    ],
)
def test_splits_that_cannot_be_are_named_without_a_lake(split, message):
    with pytest.raises(RecipeError, match=message):
        recipe(**split)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"group": ["patient", "sight"]}, "no entity has a group key `sight`; did you mean `site`?"),
        ({"fixed": {"test": "heldd"}}, "split.fixed.test = 'heldd': no dataset `heldd`"),
        ({"fixed": {"test": "held@gold"}}, "has no tag `gold`; did you mean `golden`?"),
        ({"fixed": {"test": "zoo"}}, "each version would follow the one before it"),
        ({"time": "captured_at"}, "no selected entity has a time there"),
        ({"time": "origin"}, "it holds string; use a column of times"),
        ({"time": "capturd_at"}, "has this column; did you mean `captured_at`?"),
    ],
)
@pytest.mark.usefixtures("held")
def test_splits_that_a_lake_does_not_have_stop_the_build_and_the_plan(shared, split, message):
    for follow in (lh.build, plan_dataset):
        with pytest.raises(RecipeError, match=message):
            follow(shared, recipe(**split))


def test_one_group_that_holds_everything_is_in_one_split_and_the_others_are_noted_as_empty(shared):
    sql = "select entity_id from entities where group_keys['site'] = 'p9'"
    receipt = lh.build(shared, recipe(sql, group=["site", "patient"], ratios=HALVES))
    assert len(set(placed(shared, receipt).values())) == 1
    assert {"empty_split", "far_from_ratio"} <= {note.rule for note in receipt.notes}


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_both_engines_place_alike(tmp_path):
    found = []
    for engine in ("embedded", "spark"):
        with opened(tmp_path / engine, engine) as lake:
            fill(lake)
            held = {"name": "held", "select": {"sql": f"select '{entity_id('n07')}' as entity_id"},
                    "split": {"ratios": {"all": 1.0}}}  # fmt: skip
            lh.build(lake, parse_recipe(held, where="held.toml"))
            made = recipe(BY_DAY, time="taken", group=["patient", "site"], fixed={"test": "held"})
            found.append((placed(lake, lh.build(lake, made)), lh.build(lake, made).details))
    assert found[0] == found[1]
