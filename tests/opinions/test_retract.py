"""A whole import is taken back as if it had never been said, and can be said again."""

from __future__ import annotations

import pytest

from jobs import retract as job
from jobs.common import main_of
from lakehouse.errors import IngestError
from lakehouse.lake import Lake
from lakehouse.opinions.imports import find_imports, imports_of
from lakehouse.opinions.retract import retract_import
from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.opinions.step import record_opinions, resolve_parked
from lakehouse.query import fetch
from lakehouse.steps.receipts import Receipt
from tests.making import entity_id
from tests.opinions.making import counts, csv_source, jsonl_source, land, said, versions

TWO = "subject,label\n1.jpg,cat\n3.jpg,dog\n"


def taken(answers: int = 0, taken_back: int = 0, no_longer_waiting: int = 0, same: int = 0) -> dict[str, int]:
    return {"answers": answers, "taken_back": taken_back, "no_longer_waiting": no_longer_waiting, "same": same}


def retract(lake: Lake, name: str) -> Receipt:
    found, = find_imports(lake, name)
    return retract_import(lake, found)


def test_all_that_an_import_brought_is_gone_and_nothing_is_deleted(photos, tmp_path):
    import_opinions(photos, csv_source(tmp_path / "a.csv", TWO))
    import_opinions(photos, csv_source(tmp_path / "b.csv", TWO, actor="human:bo"))
    assert retract(photos, "a.csv").counts == taken(answers=2, taken_back=2)
    rows = fetch(photos, "select actor_id, label from current_opinions order by label")
    assert [tuple(row.values()) for row in rows] == [("human:bo", "cat"), ("human:bo", "dog")]
    assert fetch(photos, "select votes from labels") == [{"votes": 1}] * 2
    assert fetch(photos, "select count(*) as n from silver.opinions") == [{"n": 6}]


def test_taking_back_twice_adds_no_row_to_any_table(photos, tmp_path):
    import_opinions(photos, csv_source(tmp_path / "a.csv", TWO))
    retract(photos, "a.csv")
    before = versions(photos)
    assert retract(photos, "a.csv").counts == taken(answers=2, same=2)
    assert versions(photos) == before


def test_what_the_answers_had_replaced_holds_again(photos, tmp_path):
    import_opinions(photos, csv_source(tmp_path / "labels.csv", TWO))
    import_opinions(photos, csv_source(tmp_path / "fix.csv", "subject,label\n1.jpg,lynx\n"))
    retract(photos, "fix.csv")
    assert said(photos) == [("cat/1.jpg", "cat"), ("dog/3.jpg", "dog")]


@pytest.mark.parametrize("order", ["abc", "acb", "bac", "bca", "cab", "cba"])
def test_corrections_of_corrections_are_taken_back_in_any_order(photos, tmp_path, order):
    files = {"a": "cat", "b": "lynx", "c": "dog"}
    for name, label in files.items():
        import_opinions(photos, csv_source(tmp_path / f"{name}.csv", f"subject,label\n1.jpg,{label}\n"))
    for name in order:
        retract(photos, f"{name}.csv")
        del files[name]
        assert said(photos) == [("cat/1.jpg", label) for label in list(files.values())[-1:]]


@pytest.mark.parametrize("text", [TWO, "subject,label,id,v\n1.jpg,cat,7,1\n3.jpg,dog,8,1\n"])
def test_an_import_that_was_taken_back_can_be_said_again_and_taken_back_again(photos, tmp_path, text):
    options = {"columns": {"id": "id", "version": "v"}} if "id" in text else {}
    source = csv_source(tmp_path / "a.csv", text, options=options)
    import_opinions(photos, source)
    for _ in range(2):
        retract(photos, "a.csv")
        assert said(photos) == []
        again = import_opinions(photos, source)
        assert again.counts == counts(read=2, new=2)
        assert [(note.rule, note.count) for note in again.notes] == [("said_back", 2)]
        assert said(photos) == [("cat/1.jpg", "cat"), ("dog/3.jpg", "dog")]
        assert not import_opinions(photos, source).changed


def test_answers_that_wait_for_their_subject_wait_no_longer_and_come_back_with_the_file(photos, tmp_path):
    source = csv_source(tmp_path / "a.csv", "subject,label\n9.jpg,cat\n")
    import_opinions(photos, source)
    assert retract(photos, "a.csv").counts == taken(answers=1, no_longer_waiting=1)
    land(photos, ["9.jpg"])
    assert resolve_parked(photos).counts["waiting"] == 0
    assert said(photos) == []
    assert import_opinions(photos, source).counts == counts(read=1, new=1)
    assert said(photos) == [("9.jpg", "cat")]


def test_answers_that_had_waited_are_taken_back_with_their_import(photos, tmp_path):
    import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\n9.jpg,cat\n1.jpg,cat\n"))
    land(photos, ["9.jpg"])
    resolve_parked(photos)
    assert retract(photos, "a.csv").counts == taken(answers=2, taken_back=2)
    assert said(photos) == []


def test_predictions_are_taken_back_by_the_name_of_their_source(photos):
    rows = [{"entity_id": entity_id("cat/1.jpg"), "label": "cat"}]
    model = {"source": "cnn", "question": "animal", "actor": "model:cnn@1"}
    record_opinions(photos, rows, **model)
    assert retract(photos, "cnn").counts == taken(answers=1, taken_back=1)
    assert said(photos) == []
    assert record_opinions(photos, rows, **model).counts == counts(read=1, new=1)


@pytest.mark.parametrize("table", ["silver.opinions", "silver.batches"])
def test_one_that_was_killed_is_completed_by_doing_it_again(photos, tmp_path, monkeypatch, table):
    import_opinions(photos, csv_source(tmp_path / "a.csv", TWO + "9.jpg,cat\n"))

    def killed(*args: object, **_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        name = "insert" if table == "silver.opinions" else "insert_rows"
        patch.setattr(f"lakehouse.opinions.retract.{name}", killed)
        with pytest.raises(KeyboardInterrupt):
            retract(photos, "a.csv")
    retract(photos, "a.csv")
    assert said(photos) == []
    assert resolve_parked(photos).counts["waiting"] == 0
    rows = fetch(photos, "select rows_read, rows_new from silver.batches where format = 'retraction'")
    assert rows == [{"rows_read": 2, "rows_new": 2}]
    before = versions(photos)
    retract(photos, "a.csv")
    assert versions(photos) == before


def test_retractions_that_the_import_brought_itself_stay_and_are_noted(photos, tmp_path):
    import_opinions(photos, csv_source(tmp_path / "a.csv", TWO))
    target = fetch(photos, "select opinion_id from silver.opinions where label = 'cat'")[0]["opinion_id"]
    line = f'{{"subject": "1.jpg", "op": "retract", "target_opinion_id": "{target}"}}\n'
    import_opinions(photos, jsonl_source(tmp_path / "r.jsonl", line))
    receipt = retract(photos, "r.jsonl")
    assert (receipt.counts, [note.rule for note in receipt.notes]) == (taken(), ["retractions_stay"])
    assert said(photos) == [("dog/3.jpg", "dog")]


def test_a_name_of_no_import_is_answered_with_the_nearest_one(photos, tmp_path):
    import_opinions(photos, csv_source(tmp_path / "labels.csv", TWO))
    with pytest.raises(IngestError, match=r"no import `lables.csv`; did you mean `labels.csv`\?.*--list"):
        find_imports(photos, "lables.csv")


def test_a_name_of_several_imports_is_answered_with_their_ids(photos, tmp_path):
    import_opinions(photos, csv_source(tmp_path / "a.csv", TWO))
    import_opinions(photos, csv_source(tmp_path / "a.csv", TWO.replace("cat", "lynx")))
    first, second = imports_of(photos)
    with pytest.raises(IngestError, match=r"2 imports are called `a\.csv`.*--all") as error:
        find_imports(photos, "a.csv")
    assert first.batch_id[:12] in str(error.value)
    assert second.batch_id[:12] in str(error.value)
    assert find_imports(photos, first.batch_id[:8]) == [first]
    assert find_imports(photos, str(tmp_path / "a.csv"), several=True) == [first, second]
    retract_import(photos, second)
    assert [each.batch_id for each in find_imports(photos, "a.csv")] == [first.batch_id]


def test_the_command_lists_imports_and_takes_one_back(photos, tmp_path, capsys):
    import_opinions(photos, csv_source(tmp_path / "a.csv", TWO, name="first round"))
    lake = ["--lake", str(photos.root)]
    assert main_of(job, [*lake, "--list"], engine="embedded") == 0
    shown = capsys.readouterr().out
    assert "first round from " in shown
    assert "2 answers, 0 taken back" in shown
    assert main_of(job, [*lake, "first round", "--reason", "wrong order"], engine="embedded") == 0
    assert "2 answers, 2 taken_back" in capsys.readouterr().out
    assert fetch(photos, "select distinct reason from opinions where op = 'retract'") == [{"reason": "wrong order"}]
    assert main_of(job, lake, engine="embedded") == 1
    assert "--list" in capsys.readouterr().err
