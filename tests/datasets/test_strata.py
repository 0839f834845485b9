"""Strata in a lake: quotas that are met exactly, what is short told and kept, names that nothing has refused."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.datasets.build import build
from lakehouse.datasets.preview import plan_dataset
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.datasets.versions.catalogue import dataset_record
from lakehouse.errors import PetrelError, RecipeError
from lakehouse.query import fetch
from tests.lanes import examples
from tests.making import Clock, add_dimension, add_entities, add_opinions, opinion, small_lake

# 12 cats, 5 dogs, 3 emus: brightness is a tenth of the number, so that emus are bright and cats dark.
LABELS = {f"n{number:02}": "cat" if number < 12 else "dog" if number < 17 else "emu" for number in range(20)}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    with small_lake(tmp_path_factory.mktemp("zoo") / "lake", clock=Clock()) as lake:
        add_entities(lake, [*LABELS, "unlabelled", "disputed", "unmeasured"])
        add_opinions(lake, [opinion(name, "human:ada", label) for name, label in LABELS.items()])
        add_opinions(lake, [opinion("disputed", f"human:{who}", label) for who, label in (("a", "cat"), ("b", "dog"))])
        add_opinions(lake, [opinion("unmeasured", "human:ada", "emu")])
        add_dimension(lake, "brightness", {name: int(name[1:]) / 20 for name in LABELS} | {"unlabelled": 0.9})
        yield lake


def recipe(strata, **more):
    said = {"name": "zoo", "question": "animal", "strata": strata, "split": {"ratios": {"all": 1.0}}}
    return parse_recipe(said | more, where="zoo.toml")


def built(lake, made):
    receipt = build(lake, made)
    text = "select stratum, selected_because from gold.dataset_members where dataset_id = $id"
    rows = fetch(lake, text, params={"id": receipt.details["dataset_id"]})
    return receipt, Counter(row["stratum"] for row in rows), rows


def test_a_quota_is_met_exactly_in_joint_cells(zoo):
    cells = {"cat|<0.3": 4, "cat|0.3..0.8": 2, "dog|0.3..0.8": 3, "emu|>=0.8": 1}
    made = recipe({"by": ["label", "brightness"], "bins": {"brightness": [0.3, 0.8]}, "quota": cells})
    receipt, found, _ = built(zoo, made)
    assert found == cells
    assert "short_cells" not in receipt.details
    reasons = fetch(zoo, "select reason, count(*) as n from gold.dataset_exclusions where dataset_id = $id "
                    "group by reason order by reason", params={"id": receipt.details["dataset_id"]})  # fmt: skip
    # Of the dogs one is at 0.8; the unmeasured emu has no cell, the unlabelled one no label.
    assert {row["reason"]: row["n"] for row in reasons} == {
        "missing_stratum": 1,
        "no_label": 1,
        "no_quota": 1,
        "over_quota": 9,
        "tie": 1,
    }


def test_what_is_short_stops_the_build_or_is_kept_with_the_version(zoo):
    strata = {"by": ["label"], "quota": 6}
    with pytest.raises(RecipeError, match="dog wanted 6, available 5, taken 5; emu wanted 6, available 4, taken 4"):
        build(zoo, recipe(strata))
    assert "on_short" in plan_dataset(zoo, recipe(strata)).problems[0]
    receipt, found, _ = built(zoo, recipe(strata | {"on_short": "take"}))
    assert found == {"cat": 6, "dog": 5, "emu": 4}
    told = "dog wanted 6, available 5, taken 5; emu wanted 6, available 4, taken 4"
    assert receipt.details["short_cells"] == told
    assert build(zoo, recipe(strata | {"on_short": "take"})).details == receipt.details
    kept = dataset_record(zoo, receipt.details["dataset_id"])["strata"]
    assert [(cell["stratum"], cell["wanted"], cell["taken"], cell["short"]) for cell in kept] == [
        ("cat", 6, 6, 0),
        ("dog", 6, 5, 1),
        ("emu", 6, 4, 2),
    ]


def test_borrowed_members_say_for_whom_they_stand(zoo):
    made = recipe({"by": ["label"], "quota": 6, "on_short": "borrow"})
    receipt, found, rows = built(zoo, made)
    assert found == {"cat": 9, "dog": 5, "emu": 4}
    assert sum("stands in for dog, emu" in row["selected_because"] for row in rows) == 3
    assert "emu wanted 6, available 4, taken 4, 2 borrowed from cat" in receipt.details["short_cells"]
    assert plan_dataset(zoo, made).cells[0]["lent"] == 3


def test_a_plan_says_what_would_fill_a_gap(zoo):
    cells = {"emu|>=0.5": 6, "cat|<0.5": 12}
    strata = {"by": ["label", "brightness"], "bins": {"brightness": [0.5]}, "quota": cells, "on_short": "take"}
    made = recipe(strata)
    cells = {cell["stratum"]: cell for cell in plan_dataset(zoo, made).cells}
    assert cells["emu|>=0.5"]["gap"] == 3
    assert cells["emu|>=0.5"]["fill"] == {"label": 1, "acquire": 2, "augment": 1}
    # Nobody unlabelled is that dark.
    assert cells["cat|<0.5"]["fill"] == {"acquire": 2, "augment": 1}


def test_a_group_key_is_a_dimension_of_cells(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        names = [f"r{number}" for number in range(9)]
        # The last one has no speaker.
        add_entities(lake, names, groups={name: {"speaker": "ab"[place % 2]} for place, name in enumerate(names[:8])})
        said = ["one" if place < 5 else "two" for place in range(9)]
        add_opinions(lake, [opinion(name, "human:ada", each) for name, each in zip(names, said, strict=True)])
        made = recipe({"by": ["key:speaker", "label"], "quota": 1})
        receipt, found, _ = built(lake, made)
        assert found == {"a|one": 1, "a|two": 1, "b|one": 1, "b|two": 1}
        assert receipt.details["excluded_because"] == "4 over_quota + 1 missing_stratum"


def test_shares_of_a_total_are_exact(zoo):
    made = recipe({"by": ["label"], "proportion": {"cat": 0.5, "dog": 0.3, "emu": 0.2}, "total": 10})
    assert built(zoo, made)[1] == {"cat": 5, "dog": 3, "emu": 2}
    assert built(zoo, recipe({"by": ["label"], "proportion": "natural", "total": 7}))[1] == {
        "cat": 4, "dog": 2, "emu": 1,
    }  # fmt: skip


SELECTED = ("entities", "entities_wide where brightness < 0.5", "entities_wide where brightness is null")
SHOULD = st.fixed_dictionaries({
    "by": st.sampled_from([["label"], ["origin"], ["label", "brightness"]]),
    "way": st.sampled_from([{"quota": 3}, {"quota": 2, "on_short": "borrow"}, {"max": 2}, {"min": 3}, {},
                            {"proportion": "natural", "total": 5}]),
    "seed": st.integers(0, 99), "select": st.sampled_from(SELECTED), "quorum": st.sampled_from([1, 2]),
})  # fmt: skip


@settings(max_examples=examples(4, long=120))
@given(said=SHOULD)
def test_who_is_considered_is_a_member_or_left_out_for_a_reason(zoo, said):
    strata = {"on_short": "take", "by": said["by"]} | said["way"]
    if not {"quota", "min", "proportion"} & set(strata):
        del strata["on_short"]
    if "brightness" in said["by"]:
        strata["bins"] = {"brightness": 2}
    made = recipe(strata, seed=said["seed"], label={"quorum": said["quorum"], "ties": "lowest"},
                  select={"sql": f"select entity_id from {said['select']}"})  # fmt: skip
    plan = plan_dataset(zoo, made)
    if plan.members == 0:
        with pytest.raises(RecipeError, match="no entity becomes a member"):
            build(zoo, made)
        return
    receipt, found, _ = built(zoo, made)
    counts = receipt.counts
    assert counts["considered"] == counts["members"] + counts["excluded"] == plan.considered
    wanted = fetch(zoo, f"select count(*) as n from {said['select']}")[0]["n"]
    assert counts["considered"] == wanted
    cells = dataset_record(zoo, receipt.details["dataset_id"])["strata"]
    assert {cell["stratum"]: cell["taken"] + cell["lent"] for cell in cells if cell["taken"] + cell["lent"]} == found
    for cell in cells:
        assert cell["short"] == max(0, cell["least"] - cell["taken"])
        assert cell["wanted"] is None or cell["taken"] <= cell["wanted"]


LABEL = {"by": ["label"]}


@pytest.mark.parametrize(
    ("strata", "more", "message"),
    [
        # Strata
        (LABEL | {"quota": {"cta": 3}}, {}, "strata.quota has 'cta': no label is 'cta'; did you mean `cat`?"),
        (LABEL | {"quota": {"cat|real": 3}}, {}, "no label is 'cat|real'"),
        ({"by": ["label", "origin"], "quota": {"cat": 3}}, {}, "has 1 values; strata.by wants '<label>|<origin>'"),
        (
            {"by": ["label", "brightness"], "bins": {"brightness": [0.5]}, "quota": {"cat|<0.6": 3}},
            {},
            "no brightness is '<0.6'; did you mean `<0.5`?",
        ),
        ({"by": ["media_type"], "quota": {"text/plian": 3}}, {}, "nothing selected is in; did you mean `text/plain`?"),
        ({"by": ["origin"], "quota": {"synthetic": 3}}, {}, "synthetic wanted 3, available 0, taken 0"),
        (LABEL | {"quota": 1000}, {}, "cat wanted 1,000, available 12"),
        (LABEL | {"quota": {"cat": 0}}, {}, "no entity becomes a member: all were left out"),
        (LABEL | {"proportion": {"cat": 0.5, "dog": 0.2}}, {}, "adds up to 0.7, expected 1"),
        (LABEL | {"proportion": {"cat": 0.5, "dgo": 0.5}}, {}, "no label is 'dgo'; did you mean `dog`?"),
        (LABEL | {"proportion": "natural", "total": 99}, {}, "wanted .*, available 12"),
        (LABEL | {"quota": "all"}, {}, "strata: quota: expected int, found str 'all'"),
        ({"by": ["blur_ness"], "quota": 1}, {}, "no column `blur_ness`"),
        ({"by": ["brightness"], "bins": {"brightness": 4}, "quota": {"q5": 1}}, {}, "no brightness is 'q5'"),
        # Nobody is left
        (LABEL | {"quota": 1}, {"label": {"quorum": 99}}, "no entity becomes a member|wanted 1, available 0"),
        (LABEL, {"select": {"sql": "select entity_id from entities where false"}}, "selects no entity"),
        (LABEL, {"select": {"where": {"brightness": {"above": 9}}}}, "select.where selects no entity"),
        (LABEL, {"question": "anmial"}, "never asked in this lake; did you mean `animal`?"),
        (LABEL, {"question": ""}, "strata.by has `label`, but the recipe asks no question"),
    ],
)
def test_a_degenerate_recipe_is_a_typed_error(zoo, strata, more, message):
    with pytest.raises(PetrelError, match=message):
        build(zoo, recipe(strata, **more))


def test_a_class_of_one_and_an_empty_stratum_are_members_and_shortfall(zoo):
    one = recipe(LABEL | {"quota": {"emu": 1}}, select={"where": {"brightness": {"min": 0.85}}})
    assert built(zoo, one)[1] == {"emu": 1}
    empty = recipe({"by": ["origin"], "quota": {"real": 2, "synthetic": 3}, "on_short": "take"})
    receipt, found, _ = built(zoo, empty)
    assert found == {"real": 2}
    assert receipt.details["short_cells"] == "synthetic wanted 3, available 0, taken 0"
    row = fetch(zoo, "select cells_json from gold.datasets where dataset_id = $id",
                params={"id": receipt.details["dataset_id"]})[0]  # fmt: skip
    assert json.loads(row["cells_json"])[1]["short"] == 3
