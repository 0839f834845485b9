"""JSON lines: strict about numbers, keys and kinds; errors name the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.errors import ConfigError
from lakehouse.opinions.reading.answer import Region
from tests.opinions.making import answers, items, rules


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


def test_one_line_is_one_answer_with_every_column_by_its_name(file):
    file.write_text(
        '{"subject": "1.jpg", "label": "cat", "actor": "human:bo", "confidence": 1, "votes": 3, '
        '"event_time": "2024-05-01T10:00:00+02:00"}\n\n{"subject_id": "2.jpg", "number": 4}\n'
    )
    first, second = answers("jsonl", file)
    assert (first.value, first.actor_id, first.confidence, first.votes) == ("cat", "human:bo", 1.0, 3)
    assert first.event_time.isoformat() == "2024-05-01T08:00:00+00:00"
    assert (second.actor_id, second.value_kind, second.value, second.where) == (
        "human:ann", "number", 4.0, "answers.jsonl:3",
    )


def test_probabilities_alone_answer_with_the_most_probable_label(file):
    file.write_text('{"subject": "1.jpg", "probs": {"dog": 0.5, "cat": 0.5}}\n')
    assert answers("jsonl", file)[0].value == "cat"


def test_no_regions_says_that_nothing_is_there(file):
    file.write_text('{"subject": "1.jpg", "regions": []}\n')
    assert [(each.value_kind, each.value) for each in answers("jsonl", file)] == [("regions", ())]


def test_a_region_keeps_what_is_stated_and_nothing_else(file):
    file.write_text('{"subject": "1.jpg", "regions": [{"kind": "box", "label": "x", "x": 1, "y": 2, "w": 3, "h": 4}]}')
    assert answers("jsonl", file)[0].value == (Region(kind="box", label="x", x=1, y=2, w=3, h=4),)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ('{"subject": "1.jpg", "label": "cat"', "malformed"),
        ('["1.jpg", "cat"]', "not_an_object"),
        ('{"subject": "1.jpg", "label": 7}', "wrong_type"),
        ('{"subject": "1.jpg", "number": NaN}', "not_finite"),
        ('{"subject": "1.jpg", "number": 1e999}', "not_finite"),
        ('{"subject": "1.jpg", "number": true}', "wrong_type"),
        ('{"subject": "1.jpg", "votes": 99999999999999999999, "label": "cat"}', "not_an_integer"),
        ('{"subject": "1.jpg", "label": "cat", "label": "dog"}', "duplicate_key"),
        ('{"subject": "1.jpg", "subject_id": "2.jpg", "label": "cat"}', "duplicate_key"),
        ('{"subject": "1.jpg", "label": "cat", "number": 1}', "several_values"),
        ('{"subject": "1.jpg", "lable": "cat"}', "unknown_key"),
        ('{"label": "cat"}', "no_subject"),
        ('{"subject": "1.jpg", "label": ""}', "empty_label"),
        ('{"subject": "1.jpg", "label": "a\\u0000b"}', "nul_character"),
        ('{"subject": "1.jpg", "label": "\\ud800"}', "lone_surrogate"),
        ('{"subject": "1.jpg", "regions": [{"label": "x"}]}', "no_region_kind"),
        ('{"subject": "1.jpg", "regions": [{"kind": "box", "x": "left"}]}', "bad_region"),
        ('{"subject": "1.jpg", "text": ' + "[" * 100 + "]" * 100 + "}", "too_deep"),
    ],
)
def test_a_bad_line_is_rejected_with_its_number_and_the_next_one_read(file, line, rule):
    file.write_text(f'{line}\n{{"subject": "2.jpg", "label": "cat"}}\n')
    assert rules("jsonl", file) == [("answers.jsonl:1", rule)]
    assert items("jsonl", file)[1].value == "cat"


def test_an_unknown_key_is_named_with_the_nearest_one(file):
    file.write_text('{"subject": "1.jpg", "lable": "cat"}\n')
    assert "did you mean `label`" in items("jsonl", file)[0].reason


def test_keys_of_their_own_are_named_by_role_inside_objects_too(file):
    file.write_text(
        '{"image": {"file": "1.jpg"}, "class": "cat", "at": "2024-05-01", "width": 3}\n'
        '{"image": {"file": "2.jpg"}, "class": "dog", "actor": "human:bo", "height": 4}\n'
    )
    columns = {"subject": "image.file", "label": "class", "time": "at"}
    found = items("jsonl", file, columns=columns)
    assert [(each.subject_key, each.value, each.actor_id) for each in found[:2]] == [
        ("1.jpg", "cat", "human:ann"), ("2.jpg", "dog", "human:bo"),
    ]
    assert found[0].event_time is not None
    assert (found[2].rule, found[2].text) == ("keys_not_read", "keys that no column names are not read: height, width")


def test_a_key_with_a_dot_in_its_name_is_found_as_it_stands(file):
    file.write_text('{"image.file": "1.jpg", "label": "cat"}\n')
    assert answers("jsonl", file, columns={"subject": "image.file"})[0].subject_key == "1.jpg"


def test_a_line_without_the_named_key_is_rejected_with_advice(file):
    file.write_text('{"img": "1.jpg", "label": "cat"}\n')
    assert "--column subject=" in items("jsonl", file)[0].reason
    assert rules("jsonl", file, columns={"subject": "image"}) == [("answers.jsonl:1", "no_subject")]
    assert rules("jsonl", file, columns={"label": "img"}) == [("answers.jsonl:1", "duplicate_key")]


def test_a_role_that_there_is_not_is_named_with_the_nearest_one(file):
    with pytest.raises(ConfigError, match=r"jsonl: columns.lable is no role; did you mean `label`"):
        items("jsonl", file, columns={"lable": "class"})
