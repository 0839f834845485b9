"""freeze and restore: a version as a file for git, which gives the same version where the same files are."""

from __future__ import annotations

import json

import pytest

import lakehouse as lh
from jobs.cli import main
from lakehouse.cards.facts import card_of
from lakehouse.care.erase import erase
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.datasets.versions.frozen import freeze, restore, sealed
from lakehouse.errors import ConfigError, RecipeError, TableError
from lakehouse.labels.changes import merge_label
from lakehouse.query import fetch
from lakehouse.tracing.impact import impact_of
from lakehouse.tracing.trace import trace_sample
from tests.corpus import good_images
from tests.making import add_entities, add_opinions, entity_id, opinion, small_lake

RECIPE = {
    "name": "shapes", "question": "shape", "seed": 3, "strata": {"by": ["label"], "max": 3},
    "select": {"sql": "select entity_id, size_bytes as size, 'ü\"' as word from entities"},
    "split": {"ratios": {"train": 0.5, "test": 0.5}},
}  # fmt: skip


def bring(lake, folder, count=9):
    good_images(folder, count)
    lh.land(lake, lh.Source(name="pictures", folder=str(folder)))
    lh.entities(lake)
    ids = sorted(row["entity_id"] for row in fetch(lake, "select entity_id from silver.entities"))
    said = [{"entity_id": each, "actor": "human:ada", "label": "round" if place % 2 else "flat"}
            for place, each in enumerate(ids) if place]  # fmt: skip
    lh.record_opinions(lake, said, source="desk", question="shape")


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen")
    with small_lake(folder / "lake") as lake:
        bring(lake, folder / "pictures")
        built = build(lake, parse_recipe(RECIPE, where="r"))
        freeze(lake, "shapes", folder / "shapes.json")
        lh.materialise(lake, "shapes")
        rows = fetch(lake, "select content_digest from gold.materialisations")
    return folder, built, rows[0]["content_digest"]


def test_a_lake_with_the_same_files_alone_gives_the_same_version_and_rows(frozen, tmp_path):
    folder, built, content = frozen
    with small_lake(tmp_path / "other") as other:
        lh.land(other, lh.Source(name="elsewhere", folder=str(folder / "pictures")))
        lh.entities(other)
        receipt = restore(other, folder / "shapes.json")
        assert receipt.details["dataset_id"] == built.details["dataset_id"]
        assert receipt.details["members_digest"] == built.details["members_digest"]
        assert receipt.counts == {"members": built.counts["members"], "excluded": built.counts["excluded"]}
        lh.materialise(other, "shapes")
        assert fetch(other, "select content_digest from gold.materialisations")[0]["content_digest"] == content
        text = "select reason, count(*) as n from gold.dataset_exclusions group by reason order by reason"
        reasons = fetch(other, text)
        assert reasons == [{"reason": "no_label", "n": 1}, {"reason": "over_quota", "n": 2}]
        assert restore(other, folder / "shapes.json").rows_new == 0
        assert freeze(other, "shapes", tmp_path / "again.json") == (folder / "shapes.json").stat().st_size
    assert (tmp_path / "again.json").read_bytes() == (folder / "shapes.json").read_bytes()


def test_missing_files_are_told_before_anything_is_written(frozen, tmp_path):
    folder, _, _ = frozen
    with small_lake(tmp_path / "empty") as other:
        with pytest.raises(RecipeError, match=r"6 of 6 members are not in .*/empty, for example [0-9a-f]{64}; land"):
            restore(other, folder / "shapes.json")
        assert fetch(other, "select * from gold.dataset_members") == []


def test_where_all_that_it_read_is_the_same_a_restored_version_can_be_asked_as_where_it_was_built(frozen, tmp_path):
    folder, built, _ = frozen
    with small_lake(tmp_path / "other") as other:
        bring(other, folder / "pictures")
        restore(other, folder / "shapes.json")
        sample = fetch(other, "select entity_id from gold.dataset_members order by entity_id")[0]["entity_id"]
        trace = trace_sample(other, "shapes", sample)
        assert [row["actor_id"] for row in trace.opinions] == ["human:ada"]
        assert card_of(other, "shapes").answers is not None
        found = impact_of(other, "actor", "human:ada")
        assert [(row["dataset_id"], row["touched"]) for row in found.versions] == [
            (built.details["dataset_id"], built.counts["members"])
        ]


def test_where_it_is_not_the_same_what_a_restored_version_read_is_said_to_be_unknown(frozen, tmp_path):
    folder, built, _ = frozen
    with small_lake(tmp_path / "other") as other:
        bring(other, folder / "pictures")
        more = [{"entity_id": row["entity_id"], "actor": "human:bob", "label": "flat"}
                for row in fetch(other, "select entity_id from silver.entities")]  # fmt: skip
        lh.record_opinions(other, more, source="desk", question="shape")
        restore(other, folder / "shapes.json")
        sample = fetch(other, "select entity_id from gold.dataset_members")[0]["entity_id"]
        for ask in (lambda: trace_sample(other, "shapes", sample), lambda: card_of(other, "shapes")):
            with pytest.raises(TableError, match=r"dataset shapes .* was restored from a file"):
                ask()
        about = {"dataset_id": built.details["dataset_id"], "question": "shape"}
        assert lh.evaluate(other, actor="human:ada", **about).counts
        merge_label(other, "shape", "round", into="flat")
        # Whether they were one where it was built is not known: of other merges than its own a score is another.
        with pytest.raises(TableError, match=r"label 'round' counts as 'flat' here now, and whether it did then"):
            lh.evaluate(other, actor="human:bob", **about)
        # An answer of none would say that nothing rests on her.
        found = impact_of(other, "actor", "human:ada")
        assert found.versions == []
        assert [row["dataset_id"] for row in found.unknown] == [built.details["dataset_id"]]


def change(folder, tmp_path, how):
    """Write what a forger would who seals his file anew."""
    said = json.loads((folder / "shapes.json").read_text(encoding="utf-8"))
    changed = how(said)
    changed = said if changed is None else changed
    if isinstance(changed, dict):
        del changed["sha256"]
        changed = sealed(json.dumps(changed)[:-1])
    path = tmp_path / "changed.json"
    path.write_text(changed if isinstance(changed, str) else json.dumps(changed))
    return path


def relabel(said):
    said["members"]["rows"][0] = ["x" if each in ("round", "flat") else each for each in said["members"]["rows"][0]]


def rename(said):
    said["dataset"]["recipe_json"] = said["dataset"]["recipe_json"].replace('"seed":3', '"seed":4')


def repin(said):
    said["dataset"]["dataset_id"] = "0" * 32


def lose(said):
    said["members"]["rows"].pop()


def lose_counted(said):
    said["members"]["rows"].pop()
    said["members"]["count"] -= 1


def lose_exclusion(said):
    said["exclusions"]["rows"].pop()
    said["exclusions"]["count"] -= 1


def unknown_key(said):
    said["dataset"]["recipe_json"] = said["dataset"]["recipe_json"].replace('"seed"', '"sead"')


def renumber(said):
    said["dataset"]["classes_json"] = '["round","flat"]'


def resplit(said):
    said["dataset"]["splits_json"] = '{"test":0,"train":6}'


def recount(said):
    said["dataset"]["members"] = 7


def without_a_key(said):
    del said["dataset"]["cells_json"]


def huge_count(said):
    said["members"] = {"same": {}, "columns": [], "rows": [], "count": "9"}


@pytest.mark.parametrize(
    "how",
    [relabel, rename, repin, lose, lose_counted, lose_exclusion, unknown_key, huge_count,
     lambda said: "[1", lambda said: [],
     lambda said: {**said, "format": 2}, lambda said: {**said, "dataset": []}, lambda said: {**said, "members": 3},
     lambda said: "[" * 100_000],
)  # fmt: skip
def test_a_file_that_was_changed_is_refused_and_nothing_is_written(frozen, tmp_path, embedded_lake, how):
    folder, _, _ = frozen
    path = change(folder, tmp_path, how)
    with pytest.raises((ConfigError, RecipeError), match=r"changed\.json"):
        restore(embedded_lake, path)
    assert fetch(embedded_lake, "select * from gold.dataset_members") == []


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("over_quota", "zzz"),
        ("\n", "\n "),
        (r"\"size\",\"int64\"", r"\"size\",\"string\""),
        (r"\"short\":0", r"\"short\":1"),
    ],
)
def test_an_edit_anywhere_is_noticed(frozen, tmp_path, embedded_lake, was, now):
    folder, _, _ = frozen
    text = (folder / "shapes.json").read_text(encoding="utf-8")
    changed = text.replace(was, now, 1)
    assert changed != text
    (tmp_path / "changed.json").write_text(changed, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"changed\.json: its lines are not those of its last one's hash"):
        restore(embedded_lake, tmp_path / "changed.json")


def test_a_build_after_a_restored_version_says_who_moves_where_groups_have_other_oldest_entities(tmp_path):
    names = [f"{patient}{shot}" for patient in range(6) for shot in "ab"]
    recipe = {"name": "g", "split": {"group": "patient", "ratios": {"train": 0.5, "test": 0.5}}}
    kept = {**recipe, "split": {**recipe["split"], "on_join": "keep"}}
    with small_lake(tmp_path / "one") as one, small_lake(tmp_path / "other") as other:
        for lake, order in ((one, "ab"), (other, "ba")):
            for shot in order:
                taken = [name for name in names if name[1] == shot]
                add_entities(lake, taken, groups={name: {"patient": name[0]} for name in taken})
        build(one, parse_recipe(recipe, where="r"))
        freeze(one, "g", tmp_path / "g.json")
        restore(other, tmp_path / "g.json")
        with pytest.raises(RecipeError, match=r"in another split: .* restored from a file, .* on_join"):
            build(other, parse_recipe(recipe, where="r"))
        moved = [note for note in build(other, parse_recipe(kept, where="r")).notes if note.rule == "moved"]
        assert [note.count for note in moved] == [4]


def test_what_was_erased_comes_back_through_no_file(tmp_path):
    names = [f"scan{number}" for number in range(6)]
    with small_lake(tmp_path / "lake") as lake:
        add_entities(lake, names)
        add_opinions(lake, [opinion(name, "human:di", "cat") for name in names[1:]])
        build(lake, parse_recipe({"name": "cats", "question": "animal"}, where="r"))
        freeze(lake, "cats", tmp_path / "before.json")
        erase(lake, entities=[entity_id(names[0])], reason="asked for")
        restore(lake, tmp_path / "before.json")
        assert fetch(lake, "select * from gold.dataset_exclusions") == []
        erase(lake, entities=[entity_id(names[1])], reason="asked for")
        with pytest.raises(RecipeError, match="1 of 5 members were erased"):
            restore(lake, tmp_path / "before.json")
        with pytest.raises(RecipeError, match="members of it were erased"):
            freeze(lake, "cats", tmp_path / "after.json")
    assert not (tmp_path / "after.json").exists()


@pytest.mark.parametrize("how", [renumber, resplit, recount, without_a_key])
def test_what_stands_beside_the_members_must_follow_from_them(frozen, tmp_path, how):
    folder, _, _ = frozen
    path = change(folder, tmp_path, how)
    with small_lake(tmp_path / "other") as other:
        lh.land(other, lh.Source(name="elsewhere", folder=str(folder / "pictures")))
        lh.entities(other)
        with pytest.raises(ConfigError, match=r"changed\.json"):
            restore(other, path)
        assert fetch(other, "select * from gold.datasets") == []


def test_the_commands_freeze_and_restore(frozen, tmp_path, capsys):
    folder, built, _ = frozen
    at = ["--lake", str(folder / "lake")]
    assert main(["dataset", "freeze", "shapes", "--to", str(tmp_path / "s.json"), *at]) == 0
    assert main(["dataset", "restore", str(tmp_path / "s.json"), *at]) == 0
    assert built.details["dataset_id"] in capsys.readouterr().out
    assert main(["dataset", "freeze", "shapes", "--to", str(tmp_path / "no" / "s.json"), *at]) == 1
    assert "cannot be written" in capsys.readouterr().err
