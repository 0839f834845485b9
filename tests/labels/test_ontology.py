"""Label sets change by new versions: nothing that was known is lost, opinions keep what was said."""

from __future__ import annotations

import json

import pytest

from jobs.cli import main
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import ConfigError
from lakehouse.labels import changes
from lakehouse.labels.ontology import history, label_set
from lakehouse.lake import Lake
from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.query import fetch
from lakehouse.views.ontology import LONGEST_CHAIN
from tests.opinions.making import counts, csv_source, versions

FIRST = "subject,label\n1.jpg,cat\n2.jpg,kitten\n3.jpg,dog\n"


@pytest.fixture
def asked(photos, tmp_path):
    """The lake `photos`, whose label set `animal` is cat 0, dog 1, kitten 2."""
    import_opinions(photos, csv_source(tmp_path / "a.csv", FIRST))
    return photos


def names(lake: Lake) -> list[tuple[str, int, int, str, str]]:
    held = label_set(lake, "animal").values()
    return [(each.label_id, each.ordinal, each.version, each.name, each.status) for each in held]


def voted(lake: Lake) -> list[tuple[str, int]]:
    rows = fetch(lake, "select label, cast(sum(votes) as bigint) as votes from labels group by label order by label")
    return [(row["label"], row["votes"]) for row in rows]


def built(lake: Lake, **changes: object) -> tuple[str, list[tuple[str, int]]]:
    recipe = parse_recipe({"name": "animals", "question": "animal", **changes}, where="test")
    dataset_id = str(build(lake, recipe).details["dataset_id"])
    rows = fetch(lake, "select label from members where dataset_id = $id", params={"id": dataset_id})
    labels = [row["label"] for row in rows]
    return dataset_id, sorted((label, labels.count(label)) for label in set(labels))


def test_a_merge_is_a_new_version_and_everything_read_by_label_sees_it(asked, clock):
    before, counted = built(asked)
    assert counted == [("cat", 1), ("dog", 1), ("kitten", 1)]
    clock.forward(days=1)
    assert changes.merge_label(asked, "animal", "kitten", "cat").counts == {"changed": 1, "same": 0}
    assert names(asked) == [("cat", 0, 1, "cat", "active"), ("dog", 1, 1, "dog", "active"),
                            ("kitten", 2, 2, "kitten", "merged")]  # fmt: skip
    assert voted(asked) == [("cat", 2), ("dog", 1)]
    said = fetch(asked, "select label from current_opinions order by label")
    assert [row["label"] for row in said] == ["cat", "dog", "kitten"]
    merged, counted = built(asked)
    assert (counted, merged == before) == ([("cat", 2), ("dog", 1)], False)
    # A new version undoes it, and the dataset is the one that there was.
    changes.restore_label(asked, "animal", "kitten")
    assert voted(asked) == [("cat", 1), ("dog", 1), ("kitten", 1)]
    assert built(asked)[0] == before
    assert [(each.version, each.status, each.merged_into) for each in history(asked, "animal", "kitten")] == [
        (1, "active", None), (2, "merged", "cat"), (3, "active", None),
    ]  # fmt: skip


def test_a_dataset_as_of_a_time_sees_the_merges_that_were_known_then(asked, clock):
    known = clock.now
    clock.forward(days=1)
    changes.merge_label(asked, "animal", "kitten", "cat")
    assert built(asked, as_of={"known_at": known})[1] == [("cat", 1), ("dog", 1), ("kitten", 1)]
    assert built(asked, as_of={"known_at": clock.now})[1] == [("cat", 2), ("dog", 1)]
    assert label_set(asked, "animal", known_at=known)["kitten"].status == "active"


def test_a_selection_that_reads_labels_has_another_version_after_a_merge_and_none_for_other_changes(asked):
    select = {"sql": "select subject_id as entity_id, label as said from labels where rank = 1"}
    before = built(asked, select=select)[0]
    changes.rename_label(asked, "animal", "dog", "hound")
    assert built(asked, select=select)[0] == before
    changes.merge_label(asked, "animal", "kitten", "cat")
    assert built(asked, select=select)[0] != before


def test_merges_follow_one_another_up_to_a_limit(asked):
    for place in range(LONGEST_CHAIN + 2):
        changes.add_label(asked, "animal", f"l{place}")
    changes.merge_label(asked, "animal", "kitten", "l0")
    for place in range(LONGEST_CHAIN - 1):
        changes.merge_label(asked, "animal", f"l{place}", f"l{place + 1}")
    assert voted(asked) == [("cat", 1), ("dog", 1), (f"l{LONGEST_CHAIN - 1}", 1)]
    with pytest.raises(ConfigError, match="more than 4 merges would follow one another"):
        changes.merge_label(asked, "animal", f"l{LONGEST_CHAIN - 1}", f"l{LONGEST_CHAIN}")


@pytest.mark.parametrize(("label", "into", "message"), [
    ("cat", "cat", "cannot stand for itself"), ("cat", "kitten", "it is merged into 'cat'"),
    ("cat", "kat", "no label 'kat'; did you mean `cat`"),
])  # fmt: skip
def test_a_merge_that_cannot_be_is_refused(asked, label, into, message):
    changes.merge_label(asked, "animal", "kitten", "cat")
    before = versions(asked)
    with pytest.raises(ConfigError, match=message):
        changes.merge_label(asked, "animal", label, into)
    assert versions(asked) == before


def test_a_renamed_label_keeps_its_id_and_imports_take_all_its_names(asked, tmp_path):
    changes.rename_label(asked, "animal", "cat", "Felis catus")
    changes.rename_label(asked, "animal", "cat", "house cat")
    changes.add_synonym(asked, "animal", "cat", "Cat", "kitty")
    held = label_set(asked, "animal")["cat"]
    assert (held.version, held.name, held.synonyms) == (4, "house cat", ("Cat", "Felis catus", "kitty"))
    text = "subject,label\n1.jpg,house cat\n2.jpg,kitty\n3.jpg,Felis catus\n4.jpg,cat\n"
    import_opinions(asked, csv_source(tmp_path / "b.csv", text, actor="human:bo"))
    rows = fetch(asked, "select distinct label from current_opinions where actor_id = 'human:bo'")
    assert rows == [{"label": "cat"}]
    with pytest.raises(ConfigError, match="'kitty' means label 'cat' already; merge the labels"):
        changes.rename_label(asked, "animal", "dog", "kitty")


def test_an_import_that_teaches_a_synonym_loses_nothing_that_was_stated(asked, tmp_path):
    changes.rename_label(asked, "animal", "cat", "house cat")
    changes.set_export_ids(asked, "animal", "cat", {"coco": "17"})
    changes.set_parent(asked, "animal", "cat", "dog")
    source = csv_source(tmp_path / "b.csv", "subject,label\n4.jpg,Katze\n", synonyms={"Katze": "cat"})
    assert import_opinions(asked, source).counts == counts(read=1, new=1)
    held = label_set(asked, "animal")["cat"]
    assert (held.name, held.export_ids, held.parent_id) == ("house cat", {"coco": "17"}, "dog")
    assert held.synonyms == ("Katze",)


def test_a_merged_label_that_is_said_again_is_kept_as_it_was_said(asked, tmp_path):
    changes.merge_label(asked, "animal", "kitten", "cat")
    import_opinions(asked, csv_source(tmp_path / "b.csv", "subject,label\n4.jpg,kitten\n", actor="human:bo"))
    assert fetch(asked, "select label from current_opinions where actor_id = 'human:bo'") == [{"label": "kitten"}]
    assert voted(asked) == [("cat", 3), ("dog", 1)]


def test_parents_make_a_tree_and_ids_of_a_format_are_given_once(asked):
    changes.add_label(asked, "animal", "mammal")
    for label in ("cat", "dog"):
        changes.set_parent(asked, "animal", label, "mammal")
    with pytest.raises(ConfigError, match="'mammal' would be below itself"):
        changes.set_parent(asked, "animal", "mammal", "cat")
    changes.set_export_ids(asked, "animal", "cat", {"coco": "17", "yolo": "0"})
    with pytest.raises(ConfigError, match="'cat' has id 17 in coco"):
        changes.set_export_ids(asked, "animal", "dog", {"coco": "17"})
    changes.set_export_ids(asked, "animal", "cat", {"yolo": ""})
    assert label_set(asked, "animal")["cat"].export_ids == {"coco": "17"}


def test_saying_it_twice_adds_no_row_to_any_table(asked):
    def all_changes() -> None:
        changes.add_label(asked, "animal", "lynx", name="Lynx", parent="cat")
        changes.deprecate_label(asked, "animal", "dog")
        changes.add_synonym(asked, "animal", "cat", "Cat")
        changes.merge_label(asked, "animal", "kitten", "cat")

    all_changes()
    before = versions(asked)
    all_changes()
    assert versions(asked) == before
    assert names(asked)[1] == ("dog", 1, 2, "dog", "deprecated")
    assert voted(asked) == [("cat", 2), ("dog", 1)]


def test_the_commands_change_and_show_a_set(asked, capsys):
    lake = ["--lake", str(asked.root)]
    for words in (["merge", "animal", "kitten", "cat"], ["rename", "animal", "cat", "house cat"],
                  ["synonym", "animal", "cat", "Cat", "kitty"], ["export-id", "animal", "cat", "coco=17"],
                  ["deprecate", "animal", "dog"], ["add", "animal", "lynx", "--parent", "cat"],
                  ["parent", "animal", "dog", "cat"]):  # fmt: skip
        assert main(["labels", *words, *lake]) == 0, words
        assert "1 changed" in capsys.readouterr().out
    assert main(["labels", *lake]) == 0
    assert "animal" in capsys.readouterr().out
    assert main(["labels", "list", "animal", "--json", *lake]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["label_id"], each["name"], each["parent_id"], each["status"]) for each in found] == [
        ("cat", "house cat", None, "active"), ("dog", "dog", "cat", "deprecated"), ("kitten", "kitten", None, "merged"),
        ("lynx", "lynx", "cat", "active"),
    ]  # fmt: skip
    assert main(["labels", "history", "animal", "cat", *lake]) == 0
    assert "coco=17" in capsys.readouterr().out
    assert main(["labels", "restore", "animal", "kitten", *lake]) == 0
    assert main(["labels", "list", "animl", *lake]) == 1
    assert "did you mean `animal`" in capsys.readouterr().err
    assert main(["labels", "list", "animal", "--known-at", "2020-01-01T00:00:00Z", *lake]) == 1
