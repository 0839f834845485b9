"""Audacity's label tracks and Praat's TextGrids, both ways."""

from __future__ import annotations

import codecs

import pytest

from lakehouse.opinions.reading.answer import Region
from tests.opinions.making import answers, rules
from tests.opinions.writing import read, regions, said, write


def stretch(start, end, label="a", **more) -> Region:
    return Region(kind="interval", t_start=start, t_end=end, label=label, **more)


AUDACITY = (
    "0.500000\t1.250000\thello there\n"
    "2.000000\t2.000000\tclick\n\\\t100.000000\t2000.000000\n"
    "3.000000\t4.000000\t\n"
)


def test_f27_three_labels_of_four_lines(tmp_path):
    (tmp_path / "a.txt").write_text(AUDACITY)
    (answer,) = answers("audacity", tmp_path / "a.txt")
    assert [(r.kind, r.t_start, r.t_end, r.label) for r in answer.value] == [
        ("interval", 0.5, 1.25, "hello there"), ("interval", 2, 2, "click"), ("interval", 3, 4, None)
    ]  # fmt: skip
    assert answer.value[1].attrs == {"frequency_low": "100", "frequency_high": "2000"}
    assert (answer.subject_key, answer.subject_kind) == ("a", "audio")


def test_f27_a_label_track_comes_back_as_it_was(tmp_path):
    (tmp_path / "a.txt").write_text(AUDACITY)
    (answer,) = answers("audacity", tmp_path / "a.txt")
    assert write("audacity", tmp_path / "out", said(*answer.value, name="a.wav", size=None)) == []
    assert (tmp_path / "out" / "a.txt").read_text() == AUDACITY


@pytest.mark.parametrize(("text", "rule"), [
    ("1\t0\ta\n", "inverted_interval"), ("1\n", "wrong_column_count"), ("\\\t1\t2\n", "bad_frequencies"),
    ("a\tb\tc\n", "not_a_number"), ("1,5\t2,5\ta\n", "not_a_number"),
])  # fmt: skip
def test_a_bad_line_rejects_its_file(tmp_path, text, rule):
    (tmp_path / "a.txt").write_text(text)
    assert rules("audacity", tmp_path / "a.txt") == [("a.txt", rule)]


def test_what_was_said_is_no_label_where_that_is_stated(tmp_path):
    (tmp_path / "a.txt").write_text("1,5\t2,5\thello\n")
    (found,) = answers("audacity", tmp_path / "a.txt", what="text", decimal=",")[0].value
    assert (found.t_start, found.label, found.attrs) == (1.5, None, {"text": "hello"})


LONG = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 2.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 1.25
            text = "say ""hi"" \u00e9 3"
        intervals [3]:
            xmin = 1.25
            xmax = 2.5
            text = ""
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 2.5
        points: size = 1
        points [1]:
            number = 2
            mark = "tap"
'''
SHORT = '''File type = "ooTextFile"
"TextGrid"

0
2.5
<exists>
2
"IntervalTier"
"words"
0
2.5
3
0
0.5
""
0.5
1.25
"say ""hi"" \u00e9 3"
1.25
2.5
""
"TextTier" "clicks" 0 2.5 1 2 "tap" ! a remark "of no meaning"
'''


@pytest.mark.parametrize("text", [LONG, SHORT], ids=["long", "short"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"])
def test_f28_both_forms_in_every_encoding_hold_the_same_labels(tmp_path, text, encoding):
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    (tmp_path / "a.TextGrid").write_bytes(marks.get(encoding, b"") + text.encode(encoding))
    words, clicks = answers("textgrid", tmp_path / "a.TextGrid")
    # Empty intervals are the space between.
    assert [(r.t_start, r.t_end, r.label) for r in words.value] == [(0.5, 1.25, 'say "hi" \u00e9 3')]
    assert [(r.t_start, r.t_end, r.label) for r in clicks.value] == [(2, 2, "tap")]
    assert (words.question_id, clicks.question_id, words.subject_key) == ("animal.words", "animal.clicks", "a")
    named = answers("textgrid", tmp_path / "a.TextGrid", tiers={"words": "speech"}, what="text")
    assert (named[0].question_id, named[0].value[0].attrs) == ("speech", {"text": 'say "hi" \u00e9 3'})


@pytest.mark.parametrize(("text", "rule"), [
    ("", "malformed"), ("hello", "malformed"), ('"ooTextFile" "Sound"', "not_textgrid"),
    (SHORT.replace("2.5", "x"), "malformed"), (SHORT[:120], "malformed"), (SHORT.replace("1.25\n2.5", "1.25\n1"),
                                                                          "inverted_interval"),
])  # fmt: skip
def test_f28_what_is_no_textgrid_is_rejected(tmp_path, text, rule):
    (tmp_path / "a.TextGrid").write_text(text)
    assert rules("textgrid", tmp_path / "a.TextGrid") == [("a.TextGrid", rule)]


def test_f28_intervals_are_written_without_a_gap_and_what_overlaps_in_a_second_tier(tmp_path):
    held = (stretch(0.5, 1.25), stretch(1.0, 2.0, "b"), stretch(2.0, 2.25, 'c "d"'), stretch(2.0, 2.0, "tap"))
    assert write("textgrid", tmp_path / "out", said(*held, name="a.wav", size=None)) == []
    text = (tmp_path / "out" / "a.TextGrid").read_text()
    assert (text.count("IntervalTier"), text.count("TextTier"), text.count('text = ""\n')) == (2, 1, 4)
    found = regions("textgrid", tmp_path / "out")
    assert sorted(found, key=str) == sorted(held, key=str)
    assert read("textgrid", tmp_path / "out")[0].question_id == "animal"
