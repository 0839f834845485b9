"""Labels as people and programs write them: none becomes a class, or two, without a word."""

from __future__ import annotations

import pytest

from lakehouse.errors import ConfigError
from lakehouse.opinions.questions import Question
from lakehouse.opinions.reading.label_text import alike, looks_like_list
from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.opinions.step import record_opinions
from lakehouse.query import fetch
from lakehouse.steps.receipts import Receipt
from tests.making import entity_id
from tests.opinions.making import counts, csv_source, jsonl_source, said


def noted(receipt: Receipt) -> dict[str, int]:
    return {note.rule: note.count for note in receipt.notes if note.rule != "new_question"}


def table(*labels: str) -> str:
    quoted = (label.replace('"', '""') for label in labels)
    return "subject,label\n" + "".join(f'{place}.jpg,"{label}"\n' for place, label in enumerate(quoted, start=1))


def test_blanks_around_a_label_are_no_part_of_it_and_that_is_noted(photos, tmp_path):
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", table("cat", " cat ", "cat\u00a0", "\tcat\u200b")))
    assert (receipt.counts, noted(receipt)) == (counts(read=4, new=4), {"label_trimmed": 3})
    assert {label for _, label in said(photos)} == {"cat"}
    assert "' cat '" in next(note.example for note in receipt.notes if note.rule == "label_trimmed")


@pytest.mark.parametrize("text", ["NaN", "nan", " NaN", "None", "null", "NULL", "NA", "N/A", "<NA>", "NaT"])
def test_a_missing_value_is_rejected_and_no_class(photos, tmp_path, text):
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", table("cat", text)))
    assert receipt.counts == counts(read=2, new=1, rejected=1)
    assert fetch(photos, "select rule from silver.rejected") == [{"rule": "missing_label"}]
    assert fetch(photos, "select label_id from silver.label_sets") == [{"label_id": "cat"}]


@pytest.mark.parametrize("text", ["", " ", "\u200b"])
def test_a_blank_label_is_rejected(photos, tmp_path, text):
    import_opinions(photos, csv_source(tmp_path / "a.csv", table("cat", text)))
    assert fetch(photos, "select rule from silver.rejected") == [{"rule": "empty_label"}]


@pytest.mark.parametrize(
    "escape", [{"missing": ()}, {"missing": ("-",)}, {"labels": ("cat", "NA")}, {"synonyms": {"NA": "namibia"}}]
)
def test_a_class_that_is_really_called_so_can_be_declared(photos, tmp_path, escape):
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", table("cat", "NA"), **escape))
    assert receipt.counts == counts(read=2, new=2)
    # Whoever answers the question later may use it too, a model for example.
    rows = [{"entity_id": entity_id("cat/1.jpg"), "label": said(photos)[1][1]}]
    record_opinions(photos, rows, source="cnn", question="animal", actor="model:cnn@1")


def test_a_file_is_read_again_when_what_is_missing_is_told_otherwise(photos, tmp_path):
    import_opinions(photos, csv_source(tmp_path / "a.csv", table("cat", "NA")))
    assert import_opinions(photos, csv_source(tmp_path / "a.csv", missing=())).counts == counts(read=2, new=1, same=1)


@pytest.mark.parametrize("kind", ["jsonl", "labels", "regions", "records"])
def test_every_way_in_takes_labels_alike(photos, tmp_path, kind):
    lines = {
        "jsonl": '{"subject": "1.jpg", "label": %s}\n',
        "labels": '{"subject": "1.jpg", "labels": [%s, "dog"]}\n',
        "regions": '{"subject": "1.jpg", "regions": [{"kind": "box", "label": %s, "x": 1, "y": 1, "w": 1, "h": 1}]}\n',
    }
    if kind == "records":
        rows = [{"entity_id": entity_id("cat/1.jpg"), "label": text} for text in (" cat", "NaN")]
        receipt = record_opinions(
            photos, rows, source="s", question=Question(question_id="animal"), actor="human:ann", max_rejected_share=1.0
        )
    else:
        text = "".join(lines[kind] % text for text in ('" cat"', '"NaN"'))
        receipt = import_opinions(photos, jsonl_source(tmp_path / "a.jsonl", text))
    assert (receipt.counts, noted(receipt)) == (counts(read=2, new=1, rejected=1), {"label_trimmed": 1})
    assert "cat" in {row["label_id"] for row in fetch(photos, "select label_id from silver.label_sets")}


def test_labels_that_differ_in_case_or_form_stay_apart_and_are_named(photos, tmp_path):
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", table("cat", "Cat", "red fox", "red_fox")))
    assert noted(receipt) == {"labels_look_alike": 2}
    assert "'Cat', 'cat'" in receipt.notes[0].example
    # Those that the lake has from before count as well.
    later = import_opinions(photos, csv_source(tmp_path / "b.csv", table("CAT"), actor="human:bo"))
    assert noted(later) == {"labels_look_alike": 1}
    merged = csv_source(tmp_path / "c.csv", table("CAT"), actor="human:cy", synonyms={"CAT": "cat"})
    assert noted(import_opinions(photos, merged)) == {"labels_look_alike": 1}
    assert fetch(photos, "select label from current_opinions where actor_id = 'human:cy'") == [{"label": "cat"}]


def test_numbers_that_are_equal_look_alike_and_other_numbers_do_not():
    assert list(alike(["1", "1.0", "01", "2", "10", "-1"])) == [["01", "1", "1.0"]]
    assert list(alike(["straße", "STRASSE", "ﬁn", "fin", "-", "_"])) == [["STRASSE", "straße"], ["fin", "ﬁn"]]
    assert list(alike(["dog"], ["cat", "Cat"])) == []


def test_a_label_that_looks_like_a_list_is_taken_whole_and_noted(photos, tmp_path):
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", table("cat|animal", "cat")))
    assert noted(receipt) == {"label_looks_like_list": 1}
    assert "--option separator='|'" in receipt.notes[0].example
    assert [looks_like_list(label) for label in ("a|b", "a;b", "a, b", "a", "|", "a|", "3/4")] == [
        "|", ";", ",", None, None, None, None
    ]


def test_a_separator_makes_one_answer_of_several_labels(photos, tmp_path):
    text = table("cat| animal", "cat", "")
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", text, options={"separator": "|"}))
    assert (receipt.counts, noted(receipt)) == (counts(read=3, new=3), {"label_trimmed": 1, "no_labels": 1})
    rows = fetch(photos, "select value_kind, labels from current_opinions order by len(labels)")
    assert rows == [{"value_kind": "labels", "labels": each} for each in ([], ["cat"], ["animal", "cat"])]


def test_a_question_that_is_a_slip_of_a_known_one_is_asked_back(photos, tmp_path):
    first = import_opinions(photos, csv_source(tmp_path / "a.csv", table("cat")))
    assert first.notes == ()
    for slip in ("animl", "Animal", "anmial", "animals"):
        with pytest.raises(ConfigError, match=rf"`{slip}` is new in this lake; did you mean `animal`.*--new-question"):
            import_opinions(photos, csv_source(tmp_path / "b.csv", table("cat"), question=slip))
        with pytest.raises(ConfigError, match="did you mean `animal`"):
            record_opinions(
                photos, [{"entity_id": entity_id("cat/1.jpg"), "label": "cat"}], source="s", question=slip,
                actor="model:m@1",
            )
    assert fetch(photos, "select count(*) as n from silver.questions") == [{"n": 1}]
    source = csv_source(tmp_path / "b.csv", table("cat"), question="animals", new_question=True)
    created = import_opinions(photos, source)
    assert [(note.rule, note.example) for note in created.notes] == [
        ("new_question", "question `animals` is asked for the first time; this lake knew animal")
    ]
    assert not import_opinions(photos, csv_source(tmp_path / "b.csv", question="animals")).changed
    # Names that differ in a number are meant to.
    import_opinions(photos, csv_source(tmp_path / "c.csv", table("cat"), question="round1"))
    import_opinions(photos, csv_source(tmp_path / "c.csv", table("cat"), question="round2"))


def test_an_actor_that_looks_like_a_known_one_is_noted(photos, tmp_path):
    import_opinions(photos, csv_source(tmp_path / "a.csv", table("cat"), actor="human:ada"))
    receipt = import_opinions(photos, csv_source(tmp_path / "b.csv", table("cat"), actor="human:adda"))
    assert noted(receipt) == {"similar_actor": 1}
    assert noted(import_opinions(photos, csv_source(tmp_path / "b.csv", table("cat"), actor="human:bob"))) == {}
