"""CSV: text stays text, and what cannot be read is named by line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lakehouse.errors import ConfigError, IngestError
from tests.opinions.making import answers, items, rules


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


def said(file: Path, **options: object) -> list[tuple[str, object]]:
    return [(each.subject_key, each.value) for each in answers("csv", file, **options)]


def test_words_that_look_like_nothing_or_numbers_are_labels(file):
    file.write_text("subject,label\n1.jpg,NA\n2.jpg,None\n3.jpg,null\n4.jpg,007\n5.jpg,9007199254740993\n")
    assert [label for _, label in said(file)] == ["NA", "None", "null", "007", "9007199254740993"]


def test_byte_order_mark_and_windows_line_ends_change_nothing(file):
    file.write_bytes(b"\xef\xbb\xbfsubject,label\r\n1.jpg,cat\r\n2.jpg,dog\r\n")
    assert said(file) == [("1.jpg", "cat"), ("2.jpg", "dog")]


def test_quoted_fields_hold_commas_quotes_and_line_ends(file):
    file.write_text('subject,label\n"a,b.jpg","says ""cat"""\n2.jpg,"two\nlines"\n')
    assert said(file) == [("a,b.jpg", 'says "cat"'), ("2.jpg", "two\nlines")]


def test_an_unclosed_quote_costs_its_line_and_not_the_rest(file):
    file.write_text('subject,label\n1.jpg,"cat\n2.jpg,dog\n')
    assert rules("csv", file) == [("labels.csv:2", "unclosed_quote")]
    assert [each.value for each in items("csv", file)[1:]] == ["dog"]


def test_a_label_in_two_unicode_forms_is_one_label(file):
    file.write_text("subject,label\n1.jpg,caf\u00e9\n2.jpg,cafe\u0301\n", encoding="utf-8")
    assert {label for _, label in said(file)} == {"caf\u00e9"}


def test_a_header_that_names_a_column_twice_is_refused(file):
    file.write_text("subject,label,label\n1.jpg,cat,dog\n")
    with pytest.raises(IngestError, match="'label' stands twice in the header"):
        items("csv", file)


def test_columns_that_nothing_names_are_noted_with_the_roles_that_they_may_have(file):
    file.write_text("subject,label,votes,split,actor\n1.jpg,cat,50,train,ada\n1.jpg,dog,2,train,bo\n")
    found = items("csv", file)
    assert (found[-1].where, found[-1].rule) == ("labels.csv", "columns_not_read")
    assert found[-1].text == (
        "columns that no role names are not read: actor, split, votes; if they are what they are called: "
        "--column actor=actor --column votes=votes"
    )
    named = items("csv", file, columns={"votes": "votes", "actor": "actor"}, actor_prefix="human:")
    assert named[-1].text == "columns that no role names are not read: split"


def test_columns_of_classes_and_probabilities_are_read(file):
    file.write_text("subject,cat,dog\n1.jpg,1,0\n")
    assert len(items("csv", file, layout="onehot")) == 1
    file.write_text("subject,label,p_cat,p_dog\n1.jpg,cat,0.9,0.1\n")
    assert len(items("csv", file, probs_prefix="p_")) == 1


def test_a_missing_column_is_named_with_the_nearest_one(file):
    file.write_text("image,label\n1.jpg,cat\n")
    with pytest.raises(IngestError, match=r"no column 'imgae' for subject; did you mean `image`"):
        items("csv", file, columns={"subject": "imgae"})


def test_an_unknown_role_is_named_with_the_nearest_one(file):
    with pytest.raises(ConfigError, match=r"columns.lable is no role; did you mean `label`"):
        items("csv", file, columns={"lable": "x"})


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (b"1.jpg", "wrong_column_count"),
        (b"1.jpg,cat,1,extra", "wrong_column_count"),
        (b"1.jpg,,1", "empty_label"),
        (b"1.jpg,cat,nan", "not_an_integer"),
        (b"1.jpg,cat,1.5", "not_an_integer"),
        (b"1.jpg,c\x00t,1", "nul_character"),
        (b"1.jpg,c\xfft,1", "not_utf8"),
    ],
)
def test_a_bad_row_is_rejected_with_its_line_and_rule(file, line, rule):
    file.write_bytes(b"subject,label,n\n0.jpg,ok,1\n" + line + b"\n2.jpg,ok,1\n")
    assert rules("csv", file, columns={"votes": "n"}) == [("labels.csv:3", rule)]


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "1_000", "0x10", "", "1,5"])
def test_a_number_that_is_not_finite_or_no_decimal_is_rejected(file, text):
    file.write_text(f'subject,label\n1.jpg,"{text}"\n')
    assert [rule for _, rule in rules("csv", file, value_kind="number")] in (["not_a_number"], ["not_finite"])


def test_a_decimal_comma_is_read_where_it_is_asked_for(file):
    file.write_text('subject;label\n1.jpg;1,5\n')
    assert said(file, value_kind="number", decimal=",", delimiter=";") == [("1.jpg", 1.5)]


def test_counts_of_a_pool_stand_side_by_side_in_slots_named_by_the_label(file):
    file.write_text("image,label,count\n1.jpg,cat,48\n1.jpg,dog,2\n")
    found = answers("csv", file, columns={"subject": "image", "votes": "count"})
    assert [(each.slot, each.value, each.votes) for each in found] == [("cat", "cat", 48), ("dog", "dog", 2)]


def test_texts_that_mean_i_decline_become_abstentions(file):
    file.write_text("subject,label\n1.jpg,?\n2.jpg,cat\n")
    found = answers("csv", file, abstain=["?"])
    assert [(each.op, each.value_kind, each.value) for each in found] == [
        ("abstain", "none", None), ("assert", "label", "cat"),
    ]


def test_times_without_a_zone_are_read_in_the_stated_one(file):
    file.write_text("subject,label,at\n1.jpg,cat,2024-07-01 12:00\n2.jpg,cat,2024-07-01T12:00:00Z\n")
    found = answers("csv", file, columns={"time": "at"}, time_zone="Europe/Berlin")
    assert [each.event_time for each in found] == [
        datetime(2024, 7, 1, 10, tzinfo=UTC), datetime(2024, 7, 1, 12, tzinfo=UTC),
    ]


def test_a_time_that_is_none_is_rejected(file):
    file.write_text("subject,label,at\n1.jpg,cat,yesterday\n")
    assert rules("csv", file, columns={"time": "at"}) == [("labels.csv:2", "not_a_time")]


def test_an_empty_file_has_no_answers_and_a_header_alone_neither(file):
    file.write_bytes(b"")
    assert items("csv", file) == []
    file.write_text("subject,label\n")
    assert items("csv", file) == []


def test_utf_16_is_refused_with_what_to_do(file):
    file.write_text("subject,label\n1.jpg,cat\n", encoding="utf-16")
    with pytest.raises(IngestError, match="is UTF-16; save it as UTF-8"):
        items("csv", file)


def test_an_endless_line_is_rejected_and_the_next_one_read(file):
    file.write_bytes(b"subject,label\n1.jpg," + b"x" * 3_000_000 + b"\n2.jpg,cat\n")
    assert rules("csv", file) == [("labels.csv:2", "too_long")]
    assert items("csv", file)[1].value == "cat"


def test_a_folder_of_files_is_read_by_name(tmp_path):
    (tmp_path / "b.csv").write_text("subject,label\n2.jpg,dog\n")
    (tmp_path / "a.csv").write_text("subject,label\n1.jpg,cat\n")
    assert said(tmp_path) == [("1.jpg", "cat"), ("2.jpg", "dog")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_and_noted_where_it_is_no_comma(file, delimiter):
    file.write_text(f"subject{delimiter}label\n1.jpg{delimiter}cat\n")
    found = items("csv", file)
    assert found[-1].value == "cat"
    assert [each.rule for each in found[:-1]] == ([] if delimiter == "," else ["delimiter"])
    assert said(file, delimiter="tab" if delimiter == "\t" else delimiter) == [("1.jpg", "cat")]


def test_a_delimiter_inside_names_does_not_mislead(file):
    file.write_text('subject,"label; all"\n1.jpg,cat\n')
    assert said(file, columns={"label": "label; all"}) == [("1.jpg", "cat")]


def test_the_line_in_which_excel_tells_the_delimiter_is_no_record(file):
    file.write_text("sep=;\nsubject;label\n1.jpg;cat\n")
    assert said(file) == [("1.jpg", "cat")]


def test_blanks_around_the_names_of_columns_are_no_part_of_them(file):
    file.write_text("subject, label \n1.jpg,cat\n")
    assert said(file) == [("1.jpg", "cat")]


def test_another_encoding_is_read_where_it_is_asked_for(file):
    file.write_bytes("subject,label\n1.jpg,grün\n".encode("cp1252"))
    assert rules("csv", file) == [("labels.csv:2", "not_utf8")]
    assert "--option encoding=cp1252" in items("csv", file)[0].reason
    assert said(file, encoding="cp1252") == [("1.jpg", "grün")]
    for wrong in ("utf-16", "klingon", "rot13"):
        with pytest.raises(ConfigError, match="encoding"):
            items("csv", file, encoding=wrong)


def test_utf_16_without_its_mark_is_refused_too(file):
    file.write_bytes("subject,label\n1.jpg,cat\n".encode("utf-16-le"))
    with pytest.raises(IngestError, match="UTF-16 without its mark"):
        items("csv", file)


def test_advice_about_columns_works_on_the_command_line(file):
    file.write_text("image,label\n1.jpg,cat\n")
    with pytest.raises(IngestError, match=r"no column 'subject' for subject.*--column subject=NAME"):
        items("csv", file)


HOT = "subject,cat,dog\n1.jpg,1,0\n2.jpg,0.0,TRUE\n3.jpg,1,1\n4.jpg,0,0\n5.jpg,0.7,0.3\n6.jpg,,1\n"


def test_one_column_per_class_gives_the_class_that_is_set(file):
    file.write_text(HOT)
    found = items("csv", file, layout="onehot")
    assert [(each.value_kind, each.value) for each in found[:2]] == [("label", "cat"), ("label", "dog")]
    assert rules("csv", file, layout="onehot") == [
        ("labels.csv:4", "not_one_hot"), ("labels.csv:5", "not_one_hot"), ("labels.csv:6", "soft_label"),
        ("labels.csv:7", "not_zero_or_one"),
    ]


def test_several_columns_set_are_several_labels_and_none_is_the_answer_that_none_applies(file):
    file.write_text(HOT)
    found = items("csv", file, layout="multihot")
    assert [(each.value_kind, each.value) for each in found[:4]] == [
        ("labels", ("cat",)), ("labels", ("dog",)), ("labels", ("cat", "dog")), ("labels", ()),
    ]
    assert [rule for _, rule in rules("csv", file, layout="multihot")] == ["soft_label", "not_zero_or_one"]


def test_columns_with_a_role_are_no_classes_and_classes_can_be_named(file):
    file.write_text("subject,cat,dog,who,width\n1.jpg,1,0,human:bo,300\n")
    found = answers("csv", file, layout="onehot", classes=["cat", "dog"], columns={"actor": "who"})
    assert [(each.actor_id, each.value) for each in found] == [("human:bo", "cat")]
    assert rules("csv", file, layout="onehot", columns={"actor": "who"}) == [("labels.csv:2", "not_zero_or_one")]
    with pytest.raises(IngestError, match="no column 'dgo' of `classes`; did you mean `dog`"):
        items("csv", file, layout="onehot", classes=["cat", "dgo"])
    with pytest.raises(ConfigError, match="no label column"):
        items("csv", file, layout="onehot", columns={"label": "cat"})
