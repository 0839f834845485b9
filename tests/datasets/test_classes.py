"""Class numbers: a label keeps the number that its label set gave it, whoever gets votes, whatever is selected."""

from __future__ import annotations

import re
from datetime import timedelta

import pyarrow as pa
import pytest

from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.datasets.versions.find import find_dataset, read_members
from lakehouse.errors import ConfigError, IngestError, RecipeError, TableError
from lakehouse.materialise.samples import sample_table
from lakehouse.opinions.parked import resolve_parked
from lakehouse.opinions.predictions import record_opinions
from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.query import fetch
from lakehouse.tables.insert import insert_rows
from schemas.tables import LABEL_SETS
from tests.making import add_opinions, entity_id, opinion
from tests.opinions.making import csv_source, jsonl_source, land

PATHS = [f"{number}.jpg" for number in range(30)]
SIZES = ("small", "medium", "large")


@pytest.fixture
def photos(lake):
    """Thirty landed things without an answer."""
    land(lake, PATHS)
    return lake


def said(lake, tmp_path, answers, *, name="a.csv", **more):
    """Import answers: the i-th is about photo i."""
    lines = "".join(f"{path},{label}\n" for path, label in zip(PATHS, answers, strict=False))
    return import_opinions(lake, csv_source(tmp_path / name, f"subject,label\n{lines}", **more))


def recipe(**record):
    plain = {"name": "zoo", "question": "animal", "split": {"ratios": {"all": 1.0}}}
    return parse_recipe(plain | record, where="zoo.toml")


def built(lake, **record):
    return find_dataset(lake, build(lake, recipe(**record)).details["dataset_id"])


def numbers(lake, **record) -> dict[str, int]:
    """Label -> number, of all samples of a build."""
    version = built(lake, **record)
    rows = sample_table(lake.engine.arrow(read_members(lake, version.dataset_id)), version.classes).rows
    found = set(zip(rows["label"].to_pylist(), rows["label_index"].to_pylist(), strict=True))
    assert {len(probs) for probs in rows["label_probs"].to_pylist()} == {len(version.classes)}
    assert all(version.classes[number] == label for label, number in found)
    return dict(sorted(found, key=lambda each: each[1]))


def held(lake) -> dict[str, int]:
    rows = fetch(lake, "select label_id, ordinal from silver.label_sets where label_set_id = 'animal' order by ordinal")
    return {row["label_id"]: row["ordinal"] for row in rows}


def test_labels_of_a_closed_question_have_the_numbers_of_the_order_in_which_they_are_stated(photos, tmp_path):
    said(photos, tmp_path, SIZES * 10, labels=SIZES)
    assert numbers(photos) == {"small": 0, "medium": 1, "large": 2}
    two = "select subject_id as entity_id from labels where label in ('small', 'large')"
    assert numbers(photos, select={"sql": two}) == {"small": 0, "large": 2}
    assert built(photos, select={"sql": two}).classes == SIZES


def test_a_label_that_nobody_chose_has_its_number_all_the_same(photos, tmp_path):
    said(photos, tmp_path, ("small", "large"), labels=SIZES)
    assert numbers(photos) == {"small": 0, "large": 2}
    assert built(photos).classes == SIZES


@pytest.mark.parametrize("labels", [(), tuple(str(number) for number in range(12))], ids=["open", "closed"])
def test_whole_numbers_as_labels_are_their_own_class_numbers(photos, tmp_path, labels):
    said(photos, tmp_path, [str(number % 12) for number in range(30)], labels=labels)
    assert numbers(photos) == {str(number): number for number in range(12)}


def test_a_label_of_an_open_question_stays_put_when_others_get_their_first_vote(photos, tmp_path):
    said(photos, tmp_path, ("dog", "cat"))
    before = built(photos)
    assert numbers(photos) == {"cat": 0, "dog": 1}
    said(photos, tmp_path, ("", "", "", "a_typo"), name="b.csv", max_rejected_share=1)
    assert numbers(photos) == {"cat": 0, "dog": 1, "a_typo": 2}
    assert built(photos).dataset_id != before.dataset_id


def test_the_order_of_the_rows_of_a_file_gives_no_number(photos, tmp_path):
    said(photos, tmp_path, ("owl", "10", "cat", "9", "dog"))
    assert held(photos) == {"9": 0, "10": 1, "cat": 2, "dog": 3, "owl": 4}


def test_what_a_model_alone_says_changes_no_dataset(photos, tmp_path):
    said(photos, tmp_path, ("cat", "dog"))
    before = built(photos)
    rows = [{"entity_id": entity_id("0.jpg"), "probabilities": {"cat": 0.5, "zebra": 0.5}, "label": "zebra"}]
    record_opinions(photos, rows, source="cnn", question="animal", actor="model:cnn@1")
    assert held(photos) == {"cat": 0, "dog": 1, "zebra": 2}
    assert built(photos) == before
    said(photos, tmp_path, ("ape",), name="b.csv", actor="human:bo")
    assert built(photos).classes == ("cat", "dog", "zebra", "ape")


def test_an_answer_that_is_taken_back_leads_back_to_the_version_before_its_label(photos):
    add_opinions(photos, [opinion("0.jpg", "human:ann", "cat"), opinion("1.jpg", "human:ann", "dog")])
    before = built(photos)
    wrong = opinion("2.jpg", "human:ann", "oops")
    add_opinions(photos, [wrong])
    assert built(photos).classes == ("cat", "dog", "oops")
    add_opinions(photos, [opinion("2.jpg", "human:ann", None, op="retract", target=wrong["opinion_id"])])
    assert built(photos) == before


def test_the_numbers_are_part_of_the_version_id(photos, tmp_path, clock):
    add_opinions(photos, [opinion("0.jpg", "human:ann", "cat")])
    before = built(photos)
    stated = {"label_set_id": "animal", "label_id": "new", "version": 1, "name": "new", "ordinal": 1}
    insert_rows(photos, LABEL_SETS, [stated | {"status": "active"}], step="test")
    assert built(photos) == before
    add_opinions(photos, [opinion("1.jpg", "human:bo", "new")])
    assert built(photos, label={"actors": ["human:ann"]}).classes == ("cat",)
    assert built(photos).classes == ("cat", "new")


def test_a_label_that_is_deprecated_or_merged_keeps_its_place(photos, tmp_path):
    said(photos, tmp_path, SIZES, labels=SIZES)
    gone = {"label_set_id": "animal", "version": 2, "label_id": "small", "name": "small", "ordinal": 0}
    insert_rows(photos, LABEL_SETS, [gone | {"status": "merged", "merged_into": "medium"}], step="test")
    assert built(photos).classes == SIZES


@pytest.mark.parametrize(("label", "ordinal", "message"), [
    ("cow", 0, "labels 'cat' and 'cow' of set `animal` are both number 0"),
    ("cow", 7, "labels 'dog' and 'cow' of set `animal` leave number 2 to nobody"),
])  # fmt: skip
def test_a_set_whose_numbers_are_not_given_once_stops_the_build(photos, tmp_path, label, ordinal, message):
    said(photos, tmp_path, ("cat", "dog"))
    stated = {"label_set_id": "animal", "label_id": label, "version": 1, "name": label, "ordinal": ordinal}
    insert_rows(photos, LABEL_SETS, [stated | {"status": "active"}], step="test")
    with pytest.raises(TableError, match=message):
        build(photos, recipe())


def test_a_label_that_opinions_hold_and_the_set_lacks_is_an_error_that_names_it(photos, tmp_path):
    said(photos, tmp_path, ("cat",))
    said(photos, tmp_path, SIZES, name="b.csv", question_version=2, labels=SIZES, label_set="sizes", actor="human:bo")
    with pytest.raises(RecipeError, match=r"label 'cat' of question `animal`, which label set `sizes` of"):
        build(photos, recipe())


@pytest.mark.parametrize(("asked", "told"), [("animl", "did you mean `animal`"), ("zzz", "known: animal")])
def test_a_question_that_was_never_asked_is_an_error_that_names_the_nearest(photos, tmp_path, asked, told):
    said(photos, tmp_path, ("cat",))
    with pytest.raises(RecipeError, match=f"question `{asked}` was never asked in this lake.*{told}"):
        build(photos, recipe(question=asked))


def test_a_question_that_was_asked_later_is_an_error_that_says_when(photos, tmp_path, clock):
    said(photos, tmp_path, ("cat",))
    early = clock() - timedelta(days=1)
    message = f"never asked in this lake by {early.isoformat()}; it first was at {clock().isoformat()}: give a later"
    with pytest.raises(RecipeError, match=re.escape(message)):
        build(photos, recipe(as_of={"known_at": early}))


def test_a_dataset_as_of_a_day_has_the_classes_of_that_day(photos, tmp_path, clock):
    said(photos, tmp_path, SIZES, labels=SIZES)
    as_of = {"known_at": clock() + timedelta(hours=1)}
    before = built(photos, as_of=as_of)
    clock.forward(days=1)
    said(photos, tmp_path, ("huge",), name="b.csv", labels=(*SIZES, "huge"), actor="human:bo")
    assert built(photos, as_of=as_of) == before
    assert built(photos).classes == (*SIZES, "huge")


# ------------------------------------------------------------------------------------ how numbers are given


@pytest.mark.parametrize("labels", [("large", "medium", "small"), ("small", "tiny", "medium", "large")])
def test_labels_in_another_order_than_their_numbers_are_refused_also_by_a_new_version(photos, tmp_path, labels):
    said(photos, tmp_path, SIZES, labels=SIZES)
    for version in (1, 2):
        with pytest.raises(ConfigError, match=r"holds small as number 0, medium as number 1.*state the labels in that"):
            said(photos, tmp_path, SIZES, name="b.csv", labels=labels, question_version=version)
    said(photos, tmp_path, SIZES, name="b.csv", labels=(*SIZES, "tiny"))
    assert held(photos) == {"small": 0, "medium": 1, "large": 2, "tiny": 3}


def test_a_part_of_the_labels_is_no_other_order(photos, tmp_path):
    said(photos, tmp_path, SIZES, labels=SIZES)
    said(photos, tmp_path, ("large",), name="b.csv", labels=("small", "large"), actor="human:bo")
    assert held(photos) == {"small": 0, "medium": 1, "large": 2}


def test_a_set_that_learnt_labels_is_closed_with_all_of_them_or_not_at_all(photos, tmp_path):
    said(photos, tmp_path, ("cat", "dog", "a_typo"))
    with pytest.raises(ConfigError, match=r"holds a_typo as number 0, cat as.*'a_typo' would be an answer too"):
        said(photos, tmp_path, ("cat",), name="b.csv", labels=("cat", "dog"), question_version=2)
    own = csv_source(tmp_path / "b.csv", labels=("dog", "cat"), question_version=2, label_set="pets")
    import_opinions(photos, own)
    assert held(photos) == {"a_typo": 0, "cat": 1, "dog": 2}


def test_no_version_of_a_question_adds_to_a_set_that_another_has_closed(photos, tmp_path):
    said(photos, tmp_path, SIZES, labels=SIZES)
    receipt = said(photos, tmp_path, ("small", "huge"), name="b.csv", question_version=2, max_rejected_share=1)
    assert (receipt.counts["new"] + receipt.counts["same"], receipt.counts["rejected"]) == (1, 1)
    lines = '{"subject": "1.jpg", "question": "animal", "question_version": 3, "label": "huge"}\n'
    with pytest.raises(IngestError, match="question animal version 3: label 'huge' is not in label set `animal`"):
        import_opinions(photos, jsonl_source(tmp_path / "c.jsonl", lines))
    assert held(photos) == {"small": 0, "medium": 1, "large": 2}


def test_an_answer_that_is_rejected_teaches_no_label(photos, tmp_path):
    said(photos, tmp_path, ("cat",))
    lines = "subject,label\n2.jpg,dog\n3.jpg,owl\n3.jpg,owl\n"
    receipt = import_opinions(photos, csv_source(tmp_path / "b.csv", lines, max_rejected_share=1))
    assert receipt.counts["rejected"] > 0
    labels = {row["label"] for row in fetch(photos, "select distinct label from opinions")}
    assert set(held(photos)) == labels


def test_a_parked_answer_that_is_resolved_has_the_number_it_arrived_with(lake, tmp_path):
    land(lake, PATHS[:2])
    said(lake, tmp_path, ("dog", "emu", "cat"))
    assert built(lake).classes == ("cat", "dog", "emu")
    land(lake, PATHS[2:3])
    resolve_parked(lake)
    assert numbers(lake) == {"cat": 0, "dog": 1, "emu": 2}


def test_shares_stand_at_the_places_of_their_classes():
    votes = pa.array([[("b", 3), ("a", 1)]], pa.map_(pa.string(), pa.int64()))
    row = {
        "entity_id": ["x"],
        "media_type": ["text/plain"],
        "weight": [1.0],
        "split": ["all"],
        "size_bytes": [1],
        "place": ["o#x"],
        "source_id": ["x"],
        "operation": pa.array([None], pa.string()),
        "label": ["b"],
    }
    samples = sample_table(pa.table(row).append_column("label_votes", votes), ("z", "b", "a"))
    assert samples.rows["label_probs"].to_pylist() == [[0, 0.75, 0.25]]
    assert samples.rows["label_index"].to_pylist() == [1]
