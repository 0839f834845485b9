"""Parquet as Hugging Face's `datasets` writes it, both ways."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.errors import IngestError
from lakehouse.opinions.formats.parquet import PARQUET, ParquetOptions
from lakehouse.opinions.formats.writer import Ontology, Said, Subject
from lakehouse.opinions.reading.answer import Answer, Note, Region
from tests.opinions.making import answers, items, rules
from tests.opinions.writing import read, said, write

CLASSES = {"names": ["cat", "dog"], "_type": "ClassLabel"}


def table(path, columns: dict[str, list], **features: object):
    found = pa.table(columns).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": {"image": {"_type": "Image"}, **features}}})}
    )
    pq.write_table(found, path)
    return path


def images(*names: str) -> list[dict[str, object]]:
    return [{"bytes": name.encode(), "path": name} for name in names]


def test_classes_are_named_by_the_metadata_and_a_picture_is_its_bytes(tmp_path):
    path = table(tmp_path / "a.parquet", {"image": images("1.jpg", "2.jpg", "3.jpg"), "label": [1, 0, -1]},
                 label=CLASSES)  # fmt: skip
    found = answers("parquet", path)
    assert [(a.value_kind, a.value, a.subject_key) for a in found] == [
        ("label", "dog", hashlib.sha256(b"1.jpg").hexdigest()), ("label", "cat", hashlib.sha256(b"2.jpg").hexdigest()),
    ]  # fmt: skip
    assert [each.rule for each in items("parquet", path) if isinstance(each, Note)] == ["not_labelled"]
    assert answers("parquet", path, subject="path")[0].subject_key == "1.jpg"
    assert PARQUET.stated(path, ParquetOptions(question="a", actor="b:c")).labels == ("cat", "dog")


@pytest.mark.parametrize("objects", [
    {"bbox": [[259.0, 176.0, 232.0, 200.0]], "category": [1]},
    [{"bbox": [259.0, 176.0, 232.0, 200.0], "category": 1}],
], ids=["lists", "structs"])  # fmt: skip
def test_objects_are_boxes(tmp_path, objects):
    feature = {"bbox": {}, "category": {"feature": CLASSES, "_type": "Sequence"}}
    path = table(tmp_path / "a.parquet", {"image": images("1.jpg"), "objects": [objects], "width": [640],
                                          "height": [480]}, objects=feature)  # fmt: skip
    (found,) = answers("parquet", path)
    (box,) = found.value
    assert (box.label, box.x, box.y, box.w, box.h, found.frame.width) == ("dog", 259, 176, 232, 200, 640)
    assert [rule for _, rule in rules("parquet", path, box_format="xyxy")] == ["inverted_box"]


def test_columns_of_several_answers_are_several_questions(tmp_path):
    path = table(tmp_path / "a.parquet", {"image": images("1.jpg"), "label": [1], "tags": [[1, 0]], "note": ["hm"],
                                          "who": ["human:ada"]},
                 label=CLASSES, tags={"feature": CLASSES, "_type": "Sequence"})  # fmt: skip
    assert [(a.question_id, a.value) for a in answers("parquet", path)] == [
        ("animal.label", "dog"), ("animal.tags", ("cat", "dog")),
    ]  # fmt: skip
    (found,) = answers("parquet", path, columns={"note": "remark"}, actor_column="who")
    assert (found.question_id, found.value_kind, found.value, found.actor_id) == ("remark", "text", "hm", "human:ada")


def test_what_cannot_be_read_is_told(tmp_path):
    path = table(tmp_path / "a.parquet", {"image": images("1.jpg", "2.jpg"), "label": [5, 1]}, label=CLASSES)
    assert rules("parquet", path) == [("a.parquet: row 1, label", "unknown_class")]
    (tmp_path / "b.parquet").write_text("no")
    with pytest.raises(IngestError, match="is no Parquet file"):
        items("parquet", tmp_path / "b.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "c.parquet")
    with pytest.raises(IngestError, match="0 columns hold bytes and path"):
        items("parquet", tmp_path / "c.parquet")


def about(value, kind, actor="human:ada", name="1.jpg") -> Said:
    answer = Answer(actor_id=actor, question_id="animal", subject_key="", value=value, value_kind=kind,
                    event_time=datetime(2024, 5, 1, tzinfo=UTC), confidence=0.5)  # fmt: skip
    return Said(answer, Subject(hashlib.sha256(name.encode()).hexdigest(), name, content=name.encode))


@pytest.mark.parametrize(("kind", "values"), [
    ("label", ["dog", "cat"]), ("labels", [("cat", "dog"), ()]), ("number", [1.5, 2.0]), ("text", ["NA", ""]),
    ("bool", [True, False]),
])  # fmt: skip
def test_answers_of_several_people_come_back_with_who_gave_them(tmp_path, kind, values):
    given = [about(values[0], kind), about(values[1], kind, "human:bob")]
    assert write("parquet", tmp_path / "out", *given, ontology=Ontology(labels=("cat", "dog"))) == []
    column = kind
    found = read("parquet", tmp_path / "out", columns={column: "animal"}, actor_column="actor")
    assert [(a.actor_id, a.value_kind, a.value) for a in found] == [
        ("human:ada", kind, values[0]), ("human:bob", kind, values[1])
    ]  # fmt: skip
    assert found[0].subject_key == hashlib.sha256(b"1.jpg").hexdigest()


def test_boxes_come_back_as_they_were_and_what_is_lost_is_told(tmp_path):
    held = (Region(kind="box", label="dog", region_id="7", x=259.0, y=176.0, w=232.0, h=200.0, score=0.5, area=9.0,
                   iscrowd=True), Region(kind="box", x=1.0, y=2.0, w=3.0, h=4.0))  # fmt: skip
    labels = Ontology(labels=("cat", "dog"))
    assert write("parquet", tmp_path / "out", said(*held), ontology=labels, content=False) == []
    (found,) = read("parquet", tmp_path / "out")
    assert (found.value, found.frame.width, found.subject_key) == (held, 640, "cat/1.jpg")
    turned = Region(kind="box", label="dog", x=1, y=2, w=3, h=4, angle=30, attrs={"a": "b"})
    assert write("parquet", tmp_path / "lost", said(turned), ontology=labels, content=False) == ["angle", "attrs"]


def test_files_are_named_as_datasets_looks_for_them(tmp_path):
    given = [about("cat", "label", name=f"{number}.jpg") for number in range(3)]
    write("parquet", tmp_path / "out", *given, ontology=Ontology(labels=("cat",)), rows_per_file=2, split="test")
    assert sorted(each.name for each in (tmp_path / "out" / "data").iterdir()) == [
        "test-00000-of-00002.parquet", "test-00001-of-00002.parquet",
    ]  # fmt: skip
