"""Ids of opinions: pinned, because a changed id means that everything is imported twice."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest

from lakehouse.opinions.ids import content_opinion_id, source_opinion_id, value_hash
from lakehouse.opinions.reading.answer import Answer, Frame, Region, answer_record, read_record
from lakehouse.opinions.reading.packed import PACKED, batch_of, packed, rows_of, unpacked, unpacked_record
from schemas.canonical import Canonical, canonical_json

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
LABEL = Answer(actor_id="human:ann", question_id="animal", subject_key="1.jpg", value="cat")
BOXES = Answer(
    actor_id="human:ann", question_id="cells", subject_key="1.jpg", value_kind="regions", frame=Frame(640, 480),
    value=(
        Region(kind="box", label="WBC", x=259.0, y=176.0, w=232.0, h=200.0, area=46400.0),
        Region(kind="box", label="RBC", x=77.0, y=335.0, w=107.0, h=100.0, area=10700.0),
    ),
)
DATED = dataclasses.replace(LABEL, event_time=NOON)
PROBS = dataclasses.replace(LABEL, actor_id="model:cnn@1", probs={"cat": 0.9, "dog": 0.1}, confidence=0.9)


def content_id_of(answer: Answer, ordinal: int = 0) -> str:
    return content_opinion_id(answer, subject_id="e" * 64, hashed=value_hash(answer), ordinal=ordinal)


@pytest.mark.parametrize(
    ("answer", "value", "identity"),
    [
        (LABEL, "3977b8a7441115d13098e68ee032073a", "f7e0c4f930fdf26291f9601d18f3fb7b"),
        (BOXES, "c03e5296805466038d78bf0b7e398c6f", "e39daa86323ec4cc1cfa438d0c307f34"),
        (PROBS, "e863bbf2b304c883bc6139d74ce8e1d7", "54a8910ee911c42464a2aa2d598fde9e"),
        (DATED, "3977b8a7441115d13098e68ee032073a", "80532e012302b5cdd3ef974362eca67b"),
    ],
    ids=["label", "boxes", "probabilities", "dated"],
)
def test_ids_and_value_hashes_never_change(answer, value, identity):
    assert (value_hash(answer), content_id_of(answer)) == (value, identity)


def test_the_id_of_a_source_with_ids_never_changes():
    answer = dataclasses.replace(LABEL, source_key="1001", source_version="3")
    assert source_opinion_id(answer, system="studio.example", project="animals") == "b0072ac56461877ebef42a448059f7d1"


def test_who_what_when_and_where_among_equal_rows_make_the_id():
    others = [
        dataclasses.replace(LABEL, **change)
        for change in (
            {"actor_id": "human:bo"}, {"question_id": "breed"}, {"question_version": 2}, {"slot": "2"},
            {"event_time": NOON}, {"value": "dog"}, {"votes": 2}, {"op": "abstain", "value": None},
        )
    ]
    found = {content_id_of(LABEL), content_id_of(LABEL, ordinal=1), *map(content_id_of, others)}
    assert len(found) == 2 + len(others)


def test_path_file_and_raw_record_do_not_make_the_id():
    same = dataclasses.replace(LABEL, subject_key="other.jpg", where="b.csv:9", raw_json="{}", ext={"a": "b"})
    assert content_id_of(same) == content_id_of(LABEL)


def test_the_order_of_regions_and_of_probabilities_is_no_content():
    assert value_hash(dataclasses.replace(BOXES, value=BOXES.value[::-1])) == value_hash(BOXES)
    assert value_hash(dataclasses.replace(PROBS, probs={"dog": 0.1, "cat": 0.9})) == value_hash(PROBS)


def test_one_instant_in_two_zones_is_one_time():
    berlin = NOON.astimezone(timezone(timedelta(hours=2)))
    assert content_id_of(dataclasses.replace(LABEL, event_time=berlin)) == content_id_of(
        dataclasses.replace(LABEL, event_time=NOON)
    )


def test_minus_zero_is_zero_and_one_is_one_point_zero():
    box = Region(kind="box", x=0.0, y=0.0, w=1.0, h=1.0)
    other = Region(kind="box", x=-0.0, y=0, w=1, h=1)
    first, second = (dataclasses.replace(BOXES, value=(each,)) for each in (box, other))
    assert value_hash(first) == value_hash(second)


def test_nothing_there_is_another_value_than_no_answer():
    empty = dataclasses.replace(BOXES, value=())
    declined = dataclasses.replace(BOXES, value=None, value_kind="none", op="abstain")
    assert value_hash(empty) != value_hash(declined)


def test_an_answer_without_an_id_in_its_source_has_no_source_id():
    with pytest.raises(ValueError, match="has no id in its source system"):
        source_opinion_id(LABEL, system="", project="")


@pytest.mark.parametrize("answer", [LABEL, BOXES, PROBS, dataclasses.replace(LABEL, event_time=NOON, votes=3)])
def test_an_answer_survives_being_parked(answer):
    assert read_record(answer_record(answer)) == answer


POINT_LISTS = [
    ({"x": 1.5, "y": 2.0}, {"x": 3.0, "y": -0.0}),
    ({"x": 1.0, "y": 2.0, "v": 2}, {"x": 0.0, "y": 0.0, "v": 0}),
    ({"x": 1.0, "y": 2.0, "v": None}, {"x": 1.0, "y": 2.0}),
    (),
    None,
]


@pytest.mark.parametrize("points", POINT_LISTS)
def test_answers_go_from_task_to_task_as_they_are(points):
    value = (
        Region("polygon", label="ö\u2028", points=points, part_sizes=(2,), attrs={"b": "1", "a": ""}, closed=False),
        Region("box", x=0.1, y=1e-300, w=7),
    )
    empty = Answer(actor_id="human:a", question_id="q", subject_key="s", value_kind="regions")
    answers = [empty, *(dataclasses.replace(empty, value=each) for each in ((), value, value[:1]))]
    batch = batch_of([packed(each) for each in answers], pa.schema(list(PACKED.items())))
    rows = rows_of(batch.slice(1))
    assert [unpacked(row) for row in rows] == answers[1:]
    # To the letter: what is kept of a rejected answer is this text.
    told = [json.dumps(unpacked_record(row)) for row in rows]
    assert told == [json.dumps(answer_record(each)) for each in answers[1:]]


@pytest.mark.parametrize("points", POINT_LISTS)
def test_the_hash_of_a_row_is_made_of_the_text_of_its_regions(points):
    value = (Region("polygon", label="e\u0301", points=points, x=-0.0, y=2.0**60), Region("box", x=0.1, w=7))
    answer = Answer(actor_id="human:a", question_id="q", subject_key="s", value_kind="regions", value=value)
    found, records = packed(answer), [each.record() for each in value]
    assert found["said"] == canonical_json(records)
    assert found["value_hash"] == value_hash(answer)
    assert canonical_json({"regions": Canonical(found["said"])}) == canonical_json({"regions": records})


def test_null_fields_of_points_are_no_content():
    def of(**changes):
        return value_hash(dataclasses.replace(BOXES, value=(Region(**changes),)))

    points = ({"x": 1.5, "y": 2.0}, {"x": 9.0, "y": 1.0}, {"x": 9.0, "y": 9.0})
    bare = of(kind="polygon", points=points, closed=True)
    assert bare == "a0fcbba2eabbb5febd542d106cad7c42"
    assert of(kind="polygon", points=tuple({**each, "v": None} for each in points), closed=True) == bare
