"""Predictions come back as opinions, with the same ids and checks as imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.errors import ConfigError, IngestError
from lakehouse.opinions.actors import Actor
from lakehouse.opinions.questions import Question
from lakehouse.opinions.step import OpinionSource, record_opinions
from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.query import fetch
from tests.making import entity_id
from tests.opinions.making import counts, csv_source, versions

CAT, DOG = entity_id("cat/1.jpg"), entity_id("dog/3.jpg")
ROWS = [
    {"entity_id": CAT, "label": "cat", "probabilities": {"cat": 0.75, "dog": 0.25}},
    {"entity_id": DOG, "probabilities": {"cat": 0.25, "dog": 0.75}},
]
MODEL = {"source": "cnn", "question": "animal", "actor": "model:cnn@1"}


@pytest.fixture
def asked(photos, tmp_path):
    """The lake `photos`, in which the closed question `animal` is asked."""
    import_opinions(photos, csv_source(tmp_path / "q.csv", "subject,label\n1.jpg,cat\n", labels=("cat", "dog")))
    return photos


def test_predictions_keep_their_whole_distribution(asked):
    assert record_opinions(asked, ROWS, **MODEL).counts == counts(read=2, new=2)
    rows = fetch(asked, "select subject_id, label, probs from current_opinions where actor_id = 'model:cnn@1'")
    assert {row["subject_id"]: (row["label"], dict(row["probs"])) for row in rows} == {
        CAT: ("cat", {"cat": 0.75, "dog": 0.25}), DOG: ("dog", {"cat": 0.25, "dog": 0.75}),
    }
    assert fetch(asked, "select kind, name, model_version from silver.actors where kind = 'model'") == [
        {"kind": "model", "name": "cnn", "model_version": "1"}
    ]


def test_recording_again_adds_no_row_to_any_table(asked, clock):
    record_opinions(asked, ROWS, **MODEL)
    before = versions(asked)
    clock.forward(days=1)
    assert record_opinions(asked, ROWS, **MODEL).counts == counts(read=2, same=2)
    assert record_opinions(asked, ROWS, **MODEL, said_at=clock.now).counts == counts(read=2, same=2)
    assert versions(asked) == before


def test_an_arrow_table_gives_the_same_opinions_as_mappings_and_numpy_numbers(asked):
    record_opinions(asked, ROWS, **MODEL)
    schema = pa.schema({"entity_id": pa.string(), "probabilities": pa.map_(pa.string(), pa.float32())})
    table = pa.Table.from_pylist([{**row, "probabilities": list(row["probabilities"].items())} for row in ROWS], schema)
    assert record_opinions(asked, table, **MODEL).counts == counts(read=2, same=2)
    numpy = [{"entity_id": CAT, "probabilities": {"cat": np.float32(0.75), "dog": np.float64(0.25)}}]
    assert record_opinions(asked, numpy, **MODEL).counts == counts(read=1, same=1)


def test_another_prediction_of_the_same_model_supersedes_the_first(asked):
    record_opinions(asked, ROWS, **MODEL)
    other = [{"entity_id": CAT, "probabilities": {"cat": 0.25, "dog": 0.75}}]
    assert record_opinions(asked, other, **MODEL).counts == counts(read=1, new=1)
    rows = fetch(asked, "select label from current_opinions where actor_id = 'model:cnn@1' order by label")
    assert [row["label"] for row in rows] == ["dog", "dog"]


def test_a_stated_time_is_kept_as_the_time_of_the_batch(asked):
    record_opinions(asked, ROWS, **MODEL, said_at=datetime(2025, 6, 1, tzinfo=UTC))
    text = "select distinct event_time, event_time_source from silver.opinions where actor_id = 'model:cnn@1'"
    rows = fetch(asked, text)
    assert rows == [{"event_time": datetime(2025, 6, 1, tzinfo=UTC), "event_time_source": "batch"}]


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ({"probabilities": {"cat": 0.5, "dog": 0.4}}, "add up to 0.9"),
        ({"probabilities": {"cat": float("nan"), "dog": 1.0}}, "not_finite"),
        ({"probabilities": {"cat": float("inf")}}, "not_finite"),
        ({"probabilities": {"cat": -0.5, "dog": 1.5}}, "must be 0 to 1"),
        ({"probabilities": {"cat": 0.5, "cow": 0.5}}, "label 'cow' is not in the label set"),
        ({"probabilities": {"dog": 1.0}, "label": "cat"}, "no probability for its own label 'cat'"),
        ({"probabilities": [0.5, 0.5]}, "must map each label"),
        ({"probabilities": {"cat": "0.5", "dog": "0.5"}}, "wrong_type"),
        ({"label": "cow"}, "label 'cow' is not in the label set"),
        ({"label": "cat", "confidence": 1.5}, "confidence must be 0 to 1"),
        ({"label": "cat", "votes": 0}, "votes must be 1 or more"),
        ({"number": 3}, "answers with number, the question asks for label"),
        ({}, "asserts nothing"),
        ({"lable": "cat"}, "did you mean `label`"),
    ],
)
def test_a_bad_prediction_is_refused_and_nothing_is_written(asked, row, rule):
    before = versions(asked)
    with pytest.raises(IngestError, match=rule):
        record_opinions(asked, [*ROWS, {"entity_id": CAT, **row}], **MODEL)
    assert versions(asked) == before


def test_a_prediction_about_an_unknown_entity_is_parked(asked):
    rows = [{"entity_id": "f" * 64, "label": "cat"}]
    assert record_opinions(asked, rows, **MODEL).counts == counts(read=1, unmatched=1)


def test_what_predictions_were_made_from_is_kept_with_the_batch(asked):
    record_opinions(asked, ROWS, **MODEL, inputs={"dataset_id": "3f9c"})
    options = fetch(asked, "select options_json from silver.batches where source = 'cnn'")[0]["options_json"]
    assert json.loads(options)["inputs"] == {"dataset_id": "3f9c"}


def test_a_model_registers_with_its_details_and_may_not_change_them(asked):
    first = Actor(kind="model", name="cnn", version="2", model_uri="models/2", params={"width": 8})
    record_opinions(asked, ROWS, source="cnn", question="animal", actor=first)
    assert fetch(asked, "select model_uri, params_json from silver.actors where actor_id = 'model:cnn@2'") == [
        {"model_uri": "models/2", "params_json": '{"width":8}'}
    ]
    changed = Actor(kind="model", name="cnn", version="2", model_uri="models/2", params={"width": 16})
    before = versions(asked)
    with pytest.raises(ConfigError, match=r"params_json is '\{\"width\":8\}' in this lake.*raise its version"):
        record_opinions(asked, ROWS, source="cnn", question="animal", actor=changed)
    assert versions(asked) == before


def test_a_question_can_come_with_its_first_answers(photos):
    question = Question(question_id="blur", answer_kind="number", measurement="ratio", title="How blurred?")
    rows = [{"entity_id": CAT, "number": 0.5}]
    assert record_opinions(photos, rows, source="r", question=question, actor="rule:blur@1").counts["new"] == 1
    assert fetch(photos, "select question_id, title, answer_kind, measurement, label_set_id from silver.questions") == [
        {
            "question_id": "blur", "title": "How blurred?", "answer_kind": "number", "measurement": "ratio",
            "label_set_id": None,
        }
    ]


SAID = [
    {"subject": "cat/1.jpg", "question": "animal", "actor": "human:ann", "label": "cat", "source_key": "a-1",
     "event_time": "2025-12-31T10:00:00Z"},
    {"subject": "dog/3.jpg", "question": "animal", "actor": "human:bo", "label": "dog", "confidence": 0.5},
    {"subject": "dog/3.jpg", "question": "blur", "actor": "human:bo", "number": 0.25},
]  # fmt: skip
"""What an annotation server has, as lines of JSON and as rows."""

SERVER = {"source": "server", "match": "path", "landed_source": "photos", "system": "tool-1", "project": "p"}


def lines_of(folder):
    """The same answers as a file to import."""
    path = folder / "said.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in SAID))
    return OpinionSource(
        format="jsonl", path=str(path), question="animal", actor="human:nobody", source="photos", match="path",
        system="tool-1", project="p",
    )  # fmt: skip


def test_what_was_imported_and_is_recorded_adds_nothing(photos, tmp_path):
    assert import_opinions(photos, lines_of(tmp_path)).counts == counts(read=3, new=3)
    before = versions(photos)
    assert record_opinions(photos, SAID, **SERVER).counts == counts(read=3, same=3)
    assert versions(photos) == before


def test_what_was_recorded_and_is_imported_adds_nothing(photos, tmp_path):
    said = [{**each, "event_time": datetime(2025, 12, 31, 10, tzinfo=UTC)} if "event_time" in each else each
            for each in SAID]  # fmt: skip
    assert record_opinions(photos, said, **SERVER).counts == counts(read=3, new=3)
    assert import_opinions(photos, lines_of(tmp_path)).counts == counts(read=3, same=3)
    text = "select actor_id, question_id, label, number from silver.opinions order by actor_id, question_id"
    assert [tuple(row.values()) for row in fetch(photos, text)] == [
        ("human:ann", "animal", "cat", None), ("human:bo", "animal", "dog", None), ("human:bo", "blur", None, 0.25),
    ]  # fmt: skip


def test_rows_that_name_no_question_or_nobody_need_one_that_is_given(photos):
    rows = [{"entity_id": CAT, "label": "cat"}]
    with pytest.raises(IngestError, match="no_question: names no question"):
        record_opinions(photos, rows, source="server", actor="human:ann")
    with pytest.raises(IngestError, match="bad_actor: "):
        record_opinions(photos, rows, source="server", question="animal")
    assert record_opinions(photos, rows, source="server", question="animal", actor="human:ann").counts["new"] == 1


def test_a_way_of_naming_and_a_source_that_nobody_knows_are_refused(photos):
    with pytest.raises(ConfigError, match="match = 'pth'; did you mean `path`"):
        record_opinions(photos, SAID, **{**SERVER, "match": "pth"})
    with pytest.raises(ConfigError, match="opinions server: no source `photo` has landed.*did you mean `photos`"):
        record_opinions(photos, SAID, **{**SERVER, "landed_source": "photo"})


@pytest.mark.parametrize("actor", ["cnn", "model:cnn", "robot:x@1", "model:@1"])
def test_an_actor_without_kind_or_version_is_refused(photos, actor):
    with pytest.raises(ConfigError, match="actor"):
        record_opinions(photos, ROWS, source="cnn", question="animal", actor=actor)


def test_predictions_are_recorded_without_java_and_spark(asked, tmp_path):
    program = f"""
import sys
from lakehouse.config import load_config
from lakehouse.opening import open_lake
from lakehouse.opinions.step import record_opinions
with open_lake(load_config(overrides=['lake.root={json.dumps(str(asked.root))}'])) as lake:
    print(record_opinions(lake, {ROWS!r}, source="cnn", question="animal", actor="model:cnn@1").counts["new"])
assert not {{"pyspark", "py4j", "torch"}} & set(sys.modules)
"""
    environment = {name: value for name, value in os.environ.items() if name not in ("JAVA_HOME", "PATH")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment | {"PATH": str(tmp_path)}, capture_output=True, text=True,
        check=False, cwd=os.getcwd(), timeout=120,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "2"), done.stderr
