"""build: who is in, who is out and why, who goes where, and when the version id changes."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

import lakehouse as lh
from lakehouse.datasets.build import build
from lakehouse.datasets.plan import split_ranges
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.datasets.versions.find import find_dataset
from lakehouse.errors import QueryRefusedError, RecipeError
from lakehouse.query import fetch
from lakehouse.tables.insert import insert_rows
from schemas.canonical import bucket
from schemas.tables import ENTITY_SOURCES
from tests.making import START, add_dimension, add_entities, add_opinions, entity_id, opinion, small_lake

NAMES = [f"n{number}" for number in range(12)]
ASKING = {"question": "animal", "split": {"ratios": {"all": 1.0}}}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A lake of two entities, shared by tests of builds that must not succeed."""
    with small_lake(tmp_path_factory.mktemp("pair") / "lake") as shared:
        add_entities(shared, NAMES[:2])
        yield shared


def recipe(**record):
    return parse_recipe({"name": "zoo"} | record, where="zoo.toml")


def members(lake, receipt) -> dict[str, dict]:
    """Name of the entity -> member row."""
    names = {entity_id(name): name for name in [*NAMES, *(f"x{n}" for n in range(300)), "ä", ""]}
    rows = fetch(
        lake, "select * from gold.dataset_members where dataset_id = $id", params={"id": receipt.details["dataset_id"]}
    )
    return {names[row["entity_id"]]: row for row in rows}


def excluded(lake, receipt) -> dict[str, str]:
    """Name of the entity -> reason."""
    names = {entity_id(name): name for name in [*NAMES, *(f"x{n}" for n in range(300))]}
    rows = fetch(
        lake,
        "select * from gold.dataset_exclusions where dataset_id = $id",
        params={"id": receipt.details["dataset_id"]},
    )
    assert all(row["detail"] for row in rows)
    return {names[row["entity_id"]]: row["reason"] for row in rows}


def labels(lake, receipt) -> dict[str, str]:
    return {name: row["label"] for name, row in members(lake, receipt).items()}


def said(*words: str) -> list[dict[str, object]]:
    """Opinions from words like `n0:ada=cat` (ada is human) or `n0:model:cnn@1=cat`."""
    rows = []
    for word in words:
        what, _, label = word.partition("=")
        name, _, who = what.partition(":")
        rows.append(opinion(name, who if ":" in who else f"human:{who}", label or None))
    return rows


# --------------------------------------------------------------------------------- without a question


def test_without_a_question_every_entity_is_a_member_without_a_label(lake):
    add_entities(lake, NAMES)
    receipt = build(lake, recipe())
    assert receipt.counts["considered"] == receipt.counts["members"] == 12
    assert receipt.counts["excluded"] == 0
    row = members(lake, receipt)["n0"]
    assert (row["label"], row["label_share"], row["label_votes"], row["weight"]) == (None, None, None, 1.0)
    assert (row["stratum"], row["group_id"]) == ("", entity_id("n0"))
    assert row["bucket"] == bucket(entity_id("n0"), 0)
    assert sorted(each["rank_in_stratum"] for each in members(lake, receipt).values()) == list(range(1, 13))


def test_the_selection_and_its_parameters_decide_who_is_considered(lake):
    add_entities(lake, ["ä", "n1", "n10"], origins={"n1": "synthetic"})
    sql = "select entity_id from entities where size_bytes = $size and origin in $origins"
    receipt = build(lake, recipe(select={"sql": sql, "params": {"size": 2, "origins": ["real", "it's"]}}))
    assert members(lake, receipt).keys() == {"ä"}


def test_an_entity_that_is_selected_twice_or_as_null_counts_once(lake):
    add_entities(lake, NAMES[:2])
    sql = "select entity_id from entities union all select entity_id from entities union all select null"
    assert build(lake, recipe(select={"sql": sql})).counts["considered"] == 2


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        ("select origin from entities", RecipeError, "returns origin; it must return entity_id"),
        ("select entity_id from entities where false", RecipeError, "selects no entity"),
        ("select entity_id from entitis", QueryRefusedError, "`entitis`; did you mean `entities`"),
        ("delete from silver.entities", QueryRefusedError, "exactly one SELECT"),
        ("select entity_id from read_csv('/etc/passwd')", QueryRefusedError, "not allowed"),
        ("selec entity_id", QueryRefusedError, "recipe zoo: select.sql"),
        ("select (", QueryRefusedError, "recipe zoo: select.sql"),
        ("", QueryRefusedError, "recipe zoo: select.sql"),
        ("select entity_id, widht from entities", RecipeError, "recipe zoo: select.sql: .*widht"),
        ("select cast(origin as integer) as entity_id from entities", RecipeError, "recipe zoo: select.sql: .*real"),
        ("select entity_id from entities where size_bytes > $least", RecipeError, r"recipe zoo: .*\$least"),
        ("select 'abc' as entity_id from entities", RecipeError, "1 of 1 .*abc.*no entit"),
    ],
)
def test_a_selection_that_cannot_be_followed_is_an_error_of_ours_and_writes_nothing(pair, sql, error, message):
    with pytest.raises(error, match=message):
        build(pair, recipe(select={"sql": sql}))
    assert fetch(pair, "select * from gold.datasets") == []
    assert fetch(pair, "select * from gold.dataset_members") == []


# --------------------------------------------------------------------------------- labels


def test_the_majority_wins_and_the_votes_are_kept(lake):
    add_entities(lake, NAMES[:2])
    add_opinions(lake, said("n0:ada=cat", "n0:bob=cat", "n0:eve=dog", "n1:ada=ä"))
    found = members(lake, build(lake, recipe(**ASKING)))
    assert (found["n0"]["label"], dict(found["n0"]["label_votes"])) == ("cat", {"cat": 2, "dog": 1})
    assert found["n0"]["label_share"] == pytest.approx(2 / 3)
    assert (found["n1"]["label"], found["n1"]["label_share"]) == ("ä", 1.0)


def test_every_reason_to_be_left_out_is_told_and_all_are_accounted_for(lake):
    add_entities(lake, NAMES[:6])
    add_opinions(
        lake,
        said(
            "n0:ada=cat",
            "n0:bob=cat",
            "n0:eve=cat",
            "n1:ada=cat",
            "n2:ada=cat",
            "n2:bob=dog",
            "n3:ada=cat",
            "n3:bob=cat",
            "n3:eve=dog",
            "n5:ada=",
            "n5:bob=cat",
            "n5:eve=cat",
        ),
    )
    receipt = build(lake, recipe(**ASKING, label={"quorum": 2, "min_share": 0.7}))
    assert excluded(lake, receipt) == {"n1": "below_quorum", "n2": "tie", "n3": "below_share", "n4": "no_label"}
    assert labels(lake, receipt) == {"n0": "cat", "n5": "cat"}
    assert {key: receipt.counts[key] for key in ("considered", "members", "excluded")} == {
        "considered": 6,
        "members": 2,
        "excluded": 4,
    }


def test_a_share_that_is_exactly_reached_is_enough(lake):
    add_entities(lake, NAMES[:1])
    add_opinions(lake, said("n0:ada=cat", "n0:bob=cat", "n0:eve=dog", "n0:kim=dog", "n0:joe=cat"))
    assert labels(lake, build(lake, recipe(**ASKING, label={"min_share": 0.6}))) == {"n0": "cat"}


@pytest.mark.parametrize("label", [{"ties": "lowest"}, {"policy": "soft"}])
def test_a_tie_goes_to_the_first_label_by_code_point_where_ties_are_in(lake, label):
    add_entities(lake, NAMES[:2])
    add_opinions(lake, said("n0:ada=b", "n0:bob=Z", "n1:ada=é", "n1:bob=z"))
    assert labels(lake, build(lake, recipe(**ASKING, label=label))) == {"n0": "Z", "n1": "z"}


def test_votes_of_a_pool_count_as_many(lake):
    add_entities(lake, NAMES[:1])
    add_opinions(
        lake,
        [
            opinion("n0", "pool:crowd", "cat", votes=3, slot="cat"),
            opinion("n0", "pool:crowd", "dog", votes=40, slot="dog"),
            *said("n0:ada=cat"),
        ],
    )
    found = members(lake, build(lake, recipe(**ASKING, label={"quorum": 44})))["n0"]
    assert (found["label"], dict(found["label_votes"])) == ("dog", {"cat": 4, "dog": 40})


def test_only_the_asked_question_is_heard(lake):
    add_entities(lake, NAMES[:1])
    add_opinions(lake, [*said("n0:ada=cat"), opinion("n0", "human:ada", "red", question="colour")])
    assert labels(lake, build(lake, recipe(**ASKING))) == {"n0": "cat"}


def test_models_are_not_asked_unless_named_by_kind_or_by_name(lake):
    add_entities(lake, NAMES[:1])
    add_opinions(lake, said("n0:ada=cat", "n0:model:cnn@1=dog", "n0:model:cnn@2=dog"))
    assert labels(lake, build(lake, recipe(**ASKING))) == {"n0": "cat"}
    assert labels(lake, build(lake, recipe(**ASKING, label={"kinds": ["model", "human"]}))) == {"n0": "dog"}
    only = build(lake, recipe(**ASKING, label={"actors": ["model:cnn@1", "human:ada"], "ties": "lowest"}))
    assert dict(members(lake, only)["n0"]["label_votes"]) == {"cat": 1, "dog": 1}


def test_the_last_word_of_an_actor_counts_and_abstaining_hides_an_earlier_answer(lake):
    add_entities(lake, NAMES[:2])
    later = START + timedelta(days=1)
    add_opinions(
        lake,
        [
            opinion("n0", "human:ada", "cat", event_time=START),
            opinion("n0", "human:ada", "dog", event_time=later),
            opinion("n1", "human:ada", "cat", event_time=START),
            opinion("n1", "human:ada", None, event_time=later),
        ],
    )
    receipt = build(lake, recipe(**ASKING))
    assert labels(lake, receipt) == {"n0": "dog"}
    assert excluded(lake, receipt) == {"n1": "no_label"}


def test_what_was_said_or_learned_later_is_not_heard_as_of_before(lake, clock):
    add_entities(lake, NAMES[:1])
    add_opinions(lake, [opinion("n0", "human:ada", "cat", event_time=START)])
    clock.forward(days=10)
    add_opinions(lake, [opinion("n0", "human:ada", "dog", event_time=START + timedelta(days=1))])
    assert labels(lake, build(lake, recipe(**ASKING))) == {"n0": "dog"}
    before = START + timedelta(hours=1)
    assert labels(lake, build(lake, recipe(**ASKING, as_of={"valid_at": before}))) == {"n0": "cat"}
    assert labels(lake, build(lake, recipe(**ASKING, as_of={"known_at": before}))) == {"n0": "cat"}
    assert labels(lake, build(lake, recipe(**ASKING, as_of={"known_at": clock.now}))) == {"n0": "dog"}


# --------------------------------------------------------------------------------- strata


def classes(lake, **count: int) -> None:
    """So many entities of each label, answered by ada."""
    names = [name for name in NAMES[: sum(count.values())]]
    add_entities(lake, names)
    wanted = [label for label, number in count.items() for _ in range(number)]
    add_opinions(lake, [opinion(name, "human:ada", label) for name, label in zip(names, wanted, strict=True)])


def per_label(lake, receipt) -> dict[str, int]:
    found = list(labels(lake, receipt).values())
    return {label: found.count(label) for label in sorted(set(found))}


def test_a_maximum_holds_for_every_cell_and_takes_the_first_by_bucket(lake):
    classes(lake, cat=7, dog=5)
    receipt = build(lake, recipe(**ASKING, seed=3, strata={"by": ["label"], "max": 4}))
    assert per_label(lake, receipt) == {"cat": 4, "dog": 4}
    chosen = sorted(NAMES[:7], key=lambda name: bucket(entity_id(name), 3))
    assert {name for name, label in labels(lake, receipt).items() if label == "cat"} == set(chosen[:4])
    assert {name: reason for name, reason in excluded(lake, receipt).items() if name in NAMES[:7]} == dict.fromkeys(
        chosen[4:], "over_quota"
    )
    assert members(lake, receipt)[chosen[0]]["rank_in_stratum"] == 1


def test_a_cell_has_its_own_maximum_also_none(lake):
    classes(lake, cat=4, dog=4, owl=4)
    strata = {"by": ["label"], "max": 3, "cells": {"cat": 1, "dog": 0}}
    receipt = build(lake, recipe(**ASKING, strata=strata))
    assert per_label(lake, receipt) == {"cat": 1, "owl": 3}
    assert receipt.counts["excluded"] == 8


def test_a_cell_of_odd_text_is_bound_and_not_run(lake):
    classes(lake, **{"it's; drop table x --": 3})
    strata = {"by": ["label"], "cells": {"it's; drop table x --": 2}}
    assert len(labels(lake, build(lake, recipe(**ASKING, strata=strata)))) == 2


def test_cells_are_joint_over_all_columns(lake):
    add_entities(lake, NAMES[:4], origins={"n0": "synthetic", "n1": "synthetic"})
    add_opinions(lake, said("n0:ada=cat", "n1:ada=cat", "n2:ada=cat", "n3:ada=dog"))
    receipt = build(lake, recipe(**ASKING, strata={"by": ["label", "origin"], "max": 1}))
    strata = sorted(row["stratum"] for row in members(lake, receipt).values())
    assert strata == ["cat|real", "cat|synthetic", "dog|real"]


def test_cells_whose_values_have_bars_and_backslashes_in_them_are_told_apart(lake):
    add_entities(lake, NAMES[:4], origins={"n0": "synthetic"})
    add_opinions(lake, said("n0:ada=a|real", "n1:ada=a\\", "n2:ada=a\\|real", "n3:ada=a"))
    strata = {"by": ["label", "origin"], "max": 3, "cells": {"a\\\\\\|real|real": 0}}
    receipt = build(lake, recipe(**ASKING, strata=strata))
    assert {name: row["stratum"] for name, row in members(lake, receipt).items()} == {
        "n0": "a\\|real|synthetic",
        "n1": "a\\\\|real",
        "n3": "a|real",
    }
    assert excluded(lake, receipt) == {"n2": "over_quota"}


def test_a_bar_in_the_value_of_a_single_column_stands_as_it_is(lake):
    classes(lake, **{"a|b": 3})
    strata = {"by": ["label"], "cells": {"a|b": 1}}
    assert build(lake, recipe(**ASKING, strata=strata)).counts["members"] == 1


def test_a_cell_below_the_minimum_stops_the_build_by_name(lake):
    classes(lake, cat=5, dog=2)
    with pytest.raises(RecipeError, match=r"recipe zoo: strata below strata\.min = 3: dog has 2"):
        build(lake, recipe(**ASKING, strata={"by": ["label"], "min": 3}))
    assert fetch(lake, "select * from gold.datasets") == []
    assert per_label(lake, build(lake, recipe(**ASKING, strata={"by": ["label"], "min": 2}))) == {"cat": 5, "dog": 2}


def test_a_named_cell_that_nobody_is_in_is_below_the_minimum_too(lake):
    classes(lake, cat=5)
    with pytest.raises(RecipeError, match="dgo has 0"):
        build(lake, recipe(**ASKING, strata={"by": ["label"], "min": 1, "cells": {"dgo": 3}}))


def test_a_class_whose_answers_all_fell_short_is_below_the_minimum_too(lake):
    add_entities(lake, NAMES[:2])
    add_opinions(lake, said("n0:ada=cat", "n0:bob=cat", "n1:ada=dog"))
    with pytest.raises(RecipeError, match="dog has 0"):
        build(lake, recipe(**ASKING, label={"quorum": 2}, strata={"by": ["label"], "min": 1}))


@pytest.mark.parametrize("asking", [{}, ASKING])
def test_an_entity_without_a_value_in_a_stratum_column_is_left_out_with_that_reason(lake, asking):
    add_entities(lake, NAMES[:3])
    add_dimension(lake, "width", {"n0": 8, "n1": 9}, kind="integer", extractor="image_header")
    add_opinions(lake, said("n0:ada=cat", "n1:ada=cat", "n2:ada=cat"))
    receipt = build(lake, recipe(**asking, strata={"by": ["width"], "max": 9}))
    assert excluded(lake, receipt) == {"n2": "missing_stratum"}
    assert {row["stratum"] for row in members(lake, receipt).values()} == {"8", "9"}


def test_a_stratum_column_that_does_not_exist_is_an_error_that_names_the_nearest(pair):
    with pytest.raises(RecipeError, match=r"recipe zoo: strata\.by: no column `widht`.*`width`"):
        build(pair, recipe(strata={"by": ["widht"]}))


@pytest.mark.parametrize("column", ["brightness", "captured_at", "group_keys"])
def test_a_stratum_column_without_one_text_on_all_engines_is_refused(pair, column):
    with pytest.raises(RecipeError, match=rf"strata\.by: `{column}` is .*; use a column of text, whole numbers"):
        build(pair, recipe(strata={"by": [column]}))


# --------------------------------------------------------------------------------- splits


SPLITS = {"train": 0.6, "val": 0.1, "test": 0.3}


def expected_split(group: str, seed: int) -> str:
    place = bucket(f"split|{group}", seed)
    return next(name for name, end in split_ranges(SPLITS) if place < end)


def splits(lake, receipt) -> dict[str, str]:
    return {name: row["split"] for name, row in members(lake, receipt).items()}


def test_a_split_is_a_hash_of_the_group_that_python_computes_too(lake):
    names = [f"x{number}" for number in range(300)]
    add_entities(lake, names)
    receipt = build(lake, recipe(seed=5, split={"ratios": SPLITS}))
    assert splits(lake, receipt) == {name: expected_split(entity_id(name), 5) for name in names}
    assert receipt.counts["train"] + receipt.counts["val"] + receipt.counts["test"] == 300
    assert 140 < receipt.counts["train"] < 220


def test_adding_data_moves_nobody(lake):
    names = [f"x{number}" for number in range(100)]
    add_entities(lake, names[:60])
    before = splits(lake, build(lake, recipe(split={"ratios": SPLITS})))
    add_entities(lake, names[60:])
    after = splits(lake, build(lake, recipe(split={"ratios": SPLITS})))
    assert {name: after[name] for name in before} == before
    assert len(after) == 100


@pytest.mark.parametrize(
    ("groups", "told"), [({"n0": {"patient": "p"}}, "did you mean `patient`"), ({}, "group_keys of a source")]
)
def test_a_group_key_that_no_picked_entity_has_is_an_error(lake, groups, told):
    add_entities(lake, NAMES[:2], groups=groups)
    with pytest.raises(RecipeError, match=rf"split\.group: no entity has a group key `pateint`.*{told}"):
        build(lake, recipe(split={"ratios": SPLITS, "group": "pateint"}))
    assert fetch(lake, "select * from gold.datasets") == []


def test_a_group_is_never_split_and_an_entity_without_one_stands_alone(lake):
    names = [f"x{number}" for number in range(120)]
    groups = {name: {"patient": f"p{number % 12}", "site": "s"} for number, name in enumerate(names[:100])}
    add_entities(lake, names, groups=groups)
    found = members(lake, build(lake, recipe(split={"ratios": SPLITS, "group": "patient"})))
    by_group: dict[str, set[str]] = {}
    for row in found.values():
        by_group.setdefault(row["group_id"], set()).add(row["split"])
    assert {len(each) for each in by_group.values()} == {1}
    assert len(by_group) == 12 + 20
    assert found["x119"]["group_id"] == entity_id("x119")
    assert {row["split"] for row in found.values()} == {"train", "val", "test"}


def test_bytes_that_were_seen_under_two_keys_join_their_groups(lake):
    names = [f"x{number}" for number in range(40)]
    groups = {name: {"patient": f"p{number % 20:02}"} for number, name in enumerate(names)}
    add_entities(lake, names, groups=groups)
    apart = members(lake, build(lake, recipe(split={"ratios": SPLITS, "group": "patient"})))
    # The same bytes came again, filed for the next patient: a chain from p00 to p04.
    again = [
        {"entity_id": entity_id(f"x{number}"), "landed_id": f"again{number}", "source": "other", "drop_name": "main",
         "uri": f"file:///other/{number}.png", "path": f"{number}.png", "name": f"{number}.png",
         "group_keys": {"patient": f"p{number + 1:02}"}}
        for number in range(4)
    ]  # fmt: skip
    insert_rows(lake, ENTITY_SOURCES, again, step="test")
    with pytest.raises(RecipeError, match=r"p00 and p20|p0. and p0. are one group now .*on_join = \"keep\""):
        build(lake, recipe(split={"ratios": SPLITS, "group": "patient"}))
    receipt = build(lake, recipe(split={"ratios": SPLITS, "group": "patient", "on_join": "keep"}))
    found = members(lake, receipt)
    chain = [name for name in names if groups[name]["patient"] <= "p04"]
    assert {found[name]["group_id"] for name in chain} == {"p00"}
    oldest = min(entity_id(name) for name in chain)
    assert {found[name]["split"] for name in chain} == {expected_split(oldest, 0)}
    moved = [name for name in names if found[name]["split"] != apart[name]["split"]]
    assert moved  # the case is one where it matters
    assert set(moved) < set(chain)
    assert [(note.rule, note.count) for note in receipt.notes] == [("moved", len(moved))]


def test_where_files_lay_does_not_change_the_version(lake):
    add_entities(lake, ["x0"], groups={"x0": {"patient": "p"}})
    one = build(lake, recipe(split={"ratios": SPLITS, "group": "patient"})).details
    row = {
        "entity_id": entity_id("x0"),
        "landed_id": "elsewhere",
        "source": "other",
        "drop_name": "main",
        "uri": "file:///other/x.png",
        "path": "x.png",
        "name": "x.png",
        "group_keys": {"patient": "p"},
    }
    insert_rows(lake, ENTITY_SOURCES, [row], step="test")
    assert build(lake, recipe(split={"ratios": SPLITS, "group": "patient"})).details == one


def test_a_split_without_a_share_is_counted_as_empty(lake):
    add_entities(lake, NAMES)
    receipt = build(lake, recipe(split={"ratios": {"none": 0.0, "all": 1.0}}))
    assert set(splits(lake, receipt).values()) == {"all"}
    assert find_dataset(lake, "zoo").splits == {"all": 12, "none": 0}


def test_another_seed_gives_other_splits(lake):
    add_entities(lake, NAMES)
    one, other = (splits(lake, build(lake, recipe(seed=seed, split={"ratios": SPLITS}))) for seed in (1, -2))
    assert one != other


# --------------------------------------------------------------------------------- version ids


def test_an_unchanged_lake_gives_the_same_version_and_writes_nothing(lake, clock):
    classes(lake, cat=3, dog=3)
    first = build(lake, recipe(**ASKING))
    clock.forward(days=3)
    again = build(lake, recipe(**ASKING))
    assert again.details == first.details
    assert (again.counts, again.rows_new) == (first.counts, 0)
    for note in (lake.runs / "fresh").iterdir():
        note.unlink()
    without_note = build(lake, recipe(**ASKING))
    assert (without_note.details, without_note.counts, without_note.rows_new) == (first.details, first.counts, 0)


def test_a_build_that_was_killed_before_its_last_row_goes_on(lake, monkeypatch):
    from lakehouse.datasets import build as module

    classes(lake, cat=3, dog=3)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "insert_rows", killed)
        with pytest.raises(KeyboardInterrupt):
            build(lake, recipe(**ASKING))
    assert fetch(lake, "select * from gold.datasets") == []
    receipt = build(lake, recipe(**ASKING))
    assert receipt.counts["members"] == 6
    assert len(fetch(lake, "select * from gold.dataset_members")) == 6


def test_the_order_of_landing_and_the_day_do_not_matter(tmp_path, clock):
    found = []
    for place in ("one", "two", "three"):
        clock.forward(days=100)
        order = random.Random(place).sample(NAMES, len(NAMES))
        with small_lake(tmp_path / place, clock=clock) as lake:
            for name in order[:3]:
                add_entities(lake, [name])
            add_entities(lake, order)
            add_opinions(lake, said(*(f"{name}:ada={'cat' if name > 'n3' else 'dog'}" for name in order)))
            found.append(build(lake, recipe(**ASKING)).details)
    assert found[0] == found[1] == found[2]


def version(lake, **more) -> str:
    return build(lake, recipe(**ASKING, **more)).details["dataset_id"]


def test_what_the_policy_does_not_hear_changes_no_version(lake):
    classes(lake, cat=3, dog=3)
    before = version(lake)
    add_opinions(lake, said("n0:model:cnn@1=dog", "n1:model:cnn@1=dog"))
    assert version(lake) == before
    add_opinions(lake, [opinion("n0", "human:ada", "red", question="colour")])
    assert version(lake) == before
    add_opinions(lake, [opinion("n0", "human:newcomer", "red", question="colour")])
    assert version(lake) == before


def test_what_the_policy_hears_changes_the_version(lake):
    classes(lake, cat=3, dog=3)
    versions = [version(lake)]
    add_opinions(lake, said("n0:bob=cat"))
    versions.append(version(lake))
    add_entities(lake, ["n11"])
    versions.append(version(lake))
    assert len(set(versions)) == 3


def test_an_answer_that_is_withdrawn_leads_back_to_the_version_before_it(lake):
    classes(lake, cat=3, dog=3)
    before = version(lake)
    add_opinions(lake, said("n0:bob=dog"))
    assert version(lake) != before
    add_opinions(lake, [opinion("n0", "human:bob", None, event_time=START)])
    assert version(lake) == before


def test_a_prediction_changes_the_version_where_the_selection_reads_it(lake):
    classes(lake, cat=3, dog=3)
    select = {"sql": "select entity_id from entities where entity_id in (select subject_id from opinions)"}
    before = version(lake, select=select)
    add_opinions(lake, said("n0:model:cnn@1=dog"))
    assert version(lake, select=select) != before


def test_another_recipe_is_another_version(lake):
    classes(lake, cat=3)
    add_opinions(lake, said("n0:bob=cat"))
    recipes = [
        {},
        {"seed": 1},
        {"label": {"kinds": ["human"]}},
        {"as_of": {"known_at": START}},
        {"strata": {"by": ["label"]}},
        {"split": {"ratios": {"a": 0.5, "b": 0.5}}},
    ]
    assert len({build(lake, recipe(**(ASKING | more))).details["dataset_id"] for more in recipes}) == len(recipes)


def test_two_recipes_that_differ_in_the_order_of_their_splits_are_two_versions(lake):
    add_entities(lake, NAMES)
    one = build(lake, recipe(split={"ratios": {"a": 0.5, "b": 0.5}}))
    other = build(lake, recipe(split={"ratios": {"b": 0.5, "a": 0.5}}))
    swapped = {name: "ab"[split == "a"] for name, split in splits(lake, one).items()}
    assert splits(lake, other) == swapped


# --------------------------------------------------------------------------------- finding


def test_a_dataset_is_found_by_name_at_its_newest_version_and_by_id(lake, clock):
    add_entities(lake, NAMES[:1])
    first = build(lake, recipe(seed=4)).details["dataset_id"]
    clock.forward(days=1)
    add_entities(lake, NAMES[1:3])
    second = build(lake, recipe(seed=4)).details["dataset_id"]
    assert find_dataset(lake, "zoo").dataset_id == second
    assert find_dataset(lake, first).members == 1
    assert find_dataset(lake, first).seed == 4


def test_an_unknown_dataset_is_an_error_that_lists_the_known_ones(lake):
    with pytest.raises(RecipeError, match=r"no dataset `zoo` .*known: none yet"):
        find_dataset(lake, "zoo")
    add_entities(lake, NAMES[:1])
    build(lake, recipe())
    with pytest.raises(RecipeError, match=r"no dataset `zo` .*known: zoo"):
        find_dataset(lake, "zo")


def test_a_dataset_row_tells_where_to_read_its_inputs_again(lake):
    import json

    add_entities(lake, NAMES[:1])
    build(lake, recipe())
    (row,) = fetch(lake, "select pins_json, digests_json, recipe_json from gold.datasets")
    assert json.loads(row["pins_json"]).keys() == {"silver.entities"}
    assert json.loads(row["digests_json"])["silver.entities"].startswith("1-")
    assert json.loads(row["recipe_json"])["name"] == "zoo"


def test_a_name_means_the_version_that_was_built_last_not_the_one_first_built_last(lake, clock):
    add_entities(lake, NAMES)
    ids = []
    for seed in (1, 2, 1):
        clock.forward(minutes=1)
        ids.append(build(lake, recipe(seed=seed)).details["dataset_id"])
    assert ids[0] == ids[2] != ids[1]
    assert find_dataset(lake, "zoo").dataset_id == ids[0]


def test_no_number_of_votes_makes_a_build_fail_or_turns_its_majority_round(lake):
    add_entities(lake, NAMES[:3])
    rows = said("n0:ada=dog", "n0:bob=dog", "n0:eve=cat", "n1:ada=cat", "n1:bob=dog")
    add_opinions(lake, [row | {"votes": 2**63 - 1} for row in rows])
    receipt = build(lake, recipe(**ASKING))
    (kept,) = members(lake, receipt).values()
    assert (kept["label"], round(kept["label_share"], 6)) == ("dog", 0.666667)
    assert dict(kept["label_votes"]) == {"cat": 2**63 - 1, "dog": 2**63 - 1}
    assert excluded(lake, receipt) == {"n1": "tie", "n2": "no_label"}


@pytest.mark.parametrize("label", [{}, {"policy": "soft"}])
def test_recording_a_consensus_adds_no_votes_beside_those_it_was_made_of(lake, label):
    add_entities(lake, NAMES[:3])
    add_opinions(lake, said("n0:ada=cat", "n0:bo=cat", "n0:cy=dog", "n1:ada=dog", "n2:ada=cat", "n2:bo=dog"))
    asked = recipe(**ASKING, label=label)
    before = build(lake, asked)
    lh.consensus(lake, question="animal", method="majority", ties="lowest")
    actor = fetch(lake, "select actor_id from silver.actors where kind = 'consensus'")[0]["actor_id"]
    after = build(lake, asked)
    assert after.details == before.details
    assert after.rows_new == 0
    votes = {name: dict(row["label_votes"]) for name, row in members(lake, after).items()}
    assert votes["n0"] == {"cat": 2, "dog": 1}
    for named in ({"kinds": ["consensus"]}, {"actors": [actor]}):
        decided = members(lake, build(lake, recipe(**ASKING, label=named)))
        assert {name: dict(row["label_votes"]) for name, row in decided.items()} == {
            "n0": {"cat": 1}, "n1": {"dog": 1}, "n2": {"cat": 1}
        }  # fmt: skip
    both = members(lake, build(lake, recipe(**ASKING, label={"kinds": ["human", "consensus"]})))
    assert dict(both["n0"]["label_votes"]) == {"cat": 3, "dog": 1}


def test_a_recipe_that_names_the_people_keeps_its_id_beside_one_that_does_not(lake):
    add_entities(lake, NAMES[:1])
    add_opinions(lake, said("n0:ada=cat"))
    named = recipe(**ASKING, label={"kinds": ["human", "pool", "import"]})
    assert named.canonical()["label"] == {"kinds": ("human", "pool", "import")}
    assert "label" not in recipe(**ASKING).canonical()
    assert named.label.asked == recipe(**ASKING).label.asked == ("human", "pool", "import")
