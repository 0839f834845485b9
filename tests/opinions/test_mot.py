"""MOT Challenge: frames, ids and pixels count from 1; conf 0 is not to be counted."""

from __future__ import annotations

import pytest

from lakehouse.errors import ConfigError
from lakehouse.opinions.reading.answer import Note, Region
from tests.opinions.making import answers, items, rules
from tests.opinions.writing import read, regions, said, write

GT = "1,3,260,177,232,200,1,1,0.75\n2,3,261,177,232,200,0,1,1\n"


@pytest.fixture
def sequence(tmp_path):
    """Return a function that writes a sequence."""

    def make(text: str, what: str = "gt"):
        (tmp_path / "S" / what).mkdir(parents=True, exist_ok=True)
        info = "[Sequence]\nname=S-02\nimWidth=640\nimHeight=480\nseqLength=9\n"
        (tmp_path / "S" / "seqinfo.ini").write_text(info)
        path = tmp_path / "S" / what / f"{what}.txt"
        path.write_text(text)
        return path

    return make


def test_f21_frames_and_pixels_count_from_one(sequence):
    (answer,) = answers("mot", sequence(GT))
    first, second = answer.value
    assert (first.x, first.y, first.w, first.h, first.frame_start, first.frame_end, first.track_id) == (
        259, 176, 232, 200, 0, 0, "3"
    )  # fmt: skip
    assert (second.x, second.frame_start, first.label, first.attrs) == (260, 1, "1", {"visibility": "0.75"})
    assert (answer.subject_key, answer.frame.width, answer.frame.height) == ("S-02", 640, 480)
    assert answers("mot", sequence(GT), origin=0, classes={"1": "person"})[0].value[0].x == 260
    assert answers("mot", sequence(GT), classes={"1": "person"})[0].value[0].label == "person"


def test_f21_conf_0_is_kept_and_counts_neither_way(sequence):
    path = sequence(GT)
    assert answers("mot", path)[0].value[1].attrs == {"conf": "0", "difficult": "1", "visibility": "1"}
    assert [each.rule for each in items("mot", path) if isinstance(each, Note)] == ["ignored_boxes"]


def test_detections_have_scores_and_no_tracks(sequence):
    path = sequence("1,-1,10,10,5,5,0.5,-1,-1,-1\n", "det")
    (found,) = answers("mot", path)[0].value
    assert (found.score, found.track_id, found.label, found.attrs) == (0.5, None, "object", None)


@pytest.mark.parametrize(("line", "rule"), [
    ("0,1,1,1,1,1,1,1,1", "bad_frame"), ("1,1,1,1,-1,1,1,1,1", "inverted_box"), ("1,1,1", "wrong_column_count"),
    ("1,1,x,1,1,1,1,1,1", "not_a_number"), ("1" * 5000, "wrong_column_count"),
])  # fmt: skip
def test_one_bad_line_rejects_its_sequence(sequence, line, rule):
    assert [found for _, found in rules("mot", sequence(GT + line + "\n"))] == [rule]


def test_f21_a_sequence_comes_back_as_it_was(sequence, tmp_path):
    (answer,) = answers("mot", sequence(GT))
    assert write("mot", tmp_path / "out", said(*answer.value, name="S-02.mp4")) == []
    assert (tmp_path / "out" / "S-02" / "gt" / "gt.txt").read_text() == GT
    assert read("mot", tmp_path / "out")[0].subject_key == "S-02.mp4"
    assert regions("mot", tmp_path / "out") == list(answer.value)


def test_f20_frames_between_key_frames_are_worked_out(tmp_path):
    one = Region(kind="box", label="1", x=0, y=0, w=10, h=10, track_id="car", frame_start=0, frame_end=3,
                 attrs={"interpolation": "linear"})  # fmt: skip
    other = Region(kind="box", label="1", x=40, y=0, w=10, h=10, track_id="car", frame_start=4, frame_end=5)
    assert write("mot", tmp_path / "out", said(one, other, name="a.mp4")) == ["track_id", "track_id"]
    assert [(r.frame_start, r.x) for r in regions("mot", tmp_path / "out")] == [
        (0, 0), (1, 10), (2, 20), (3, 30), (4, 40), (5, 40)
    ]  # fmt: skip


def test_a_track_of_millions_of_frames_is_refused_before_it_fills_the_memory(tmp_path):
    endless = Region(kind="box", label="1", track_id="1", frame_start=0, frame_end=30_000_000, x=1, y=1, w=2, h=2)
    with pytest.raises(ConfigError, match="would be 30,000,001 lines"):
        write("mot", tmp_path / "out", said(endless, name="a.mp4"))
