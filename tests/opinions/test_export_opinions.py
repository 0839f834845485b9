"""Exporting opinions as annotation files: whose answers, as of when, what is lost, and a place that is whole."""

from __future__ import annotations

import dataclasses

import pytest

import lakehouse as lh
from lakehouse.errors import ConfigError
from lakehouse.labels.presets import trust
from tests.making import START
from tests.opinions.making import jsonl_source

CELL = '{"kind": "box", "label": "cell", "x": 259, "y": 176, "w": 232, "h": 200}'


def say(lake, tmp_path, actor, *regions, subject="cat/1.jpg", **changes):
    line = f'{{"subject": "{subject}", "regions": [{", ".join(regions)}]}}\n'
    source = jsonl_source(tmp_path / "said.jsonl", line, question="cells", actor=actor)
    return lh.opinions(lake, dataclasses.replace(source, **changes))


def export(lake, path, **options):
    return lh.export_opinions(lake, **{"format": "voc", "path": path, "question": "cells", **options})


def test_f30_answers_of_several_actors_are_refused_by_their_names(photos, tmp_path):
    say(photos, tmp_path, "human:ada", CELL)
    say(photos, tmp_path, "human:bob", subject="cat/2.jpg")
    with pytest.raises(ConfigError, match=r"answers of 2 actors: human:ada \(1\), human:bob \(1\); .* --actor"):
        export(photos, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert export(photos, tmp_path / "out", actor="human:bob").counts == {"answers": 1, "exported": 1}
    assert [each.name for each in (tmp_path / "out" / "cat").iterdir()] == ["2.xml"]


def test_f30_a_policy_says_whose_answers_hold(photos, tmp_path):
    say(photos, tmp_path, "human:ada", CELL)
    say(photos, tmp_path, "human:bob", CELL.replace("259", "300"))
    receipt = export(photos, tmp_path / "out", policy=trust("human:bob", "human:ada"))
    assert receipt.counts == {"answers": 1, "exported": 1}
    assert receipt.details["actors"].startswith("policy:")
    assert "<xmin>301</xmin>" in (tmp_path / "out/cat/1.xml").read_text()


def test_the_same_export_again_writes_nothing_and_another_is_refused(photos, tmp_path):
    say(photos, tmp_path, "human:ada", CELL)
    first = export(photos, tmp_path / "out")
    assert (first.bytes_written > 0, first.details["files"]) == (True, "1")
    again = export(photos, tmp_path / "out")
    assert (again.bytes_written, again.details["unchanged"]) == (0, "this was exported there before")
    with pytest.raises(ConfigError, match=r"out: it holds other things \(cat\); give a new place"):
        export(photos, tmp_path / "out", options={"voc_origin": 0})
    assert [each.name for each in tmp_path.iterdir() if "tmp" in each.name or each.name.startswith(".")] == []


def test_what_is_lost_is_told_before_anything_is_written_and_refused_if_strict(photos, tmp_path):
    polygon = '{"kind": "polygon", "points": [{"x": 1, "y": 1}, {"x": 3, "y": 1}, {"x": 3, "y": 3}]}'
    scored = CELL.replace('"h": 200', '"h": 200, "score": 0.5')
    say(photos, tmp_path, "human:ada", polygon, scored)
    with pytest.raises(ConfigError, match=r"cannot hold all of it, .*polygon \(1\): cat/1.jpg: a polygon is no box"):
        export(photos, tmp_path / "out", strict=True)
    assert not (tmp_path / "out").exists()
    notes = {note.rule: (note.count, note.example) for note in export(photos, tmp_path / "out").notes}
    assert notes["lost_polygon"] == (1, "cat/1.jpg: a polygon is no box")
    assert notes["lost_score"] == (1, "cat/1.jpg: score = 0.5 of a box")


def test_what_was_said_and_known_then_is_exported_as_it_was(photos, tmp_path, clock):
    say(photos, tmp_path, "human:ada", CELL)
    then = clock.now
    clock.forward(days=1)
    say(photos, tmp_path, "human:ada", CELL.replace("259", "260"))
    export(photos, tmp_path / "now")
    export(photos, tmp_path / "then", known_at=then)
    assert "<xmin>261</xmin>" in (tmp_path / "now/cat/1.xml").read_text()
    assert "<xmin>260</xmin>" in (tmp_path / "then/cat/1.xml").read_text()
    with pytest.raises(ConfigError, match="no answer holds then"):
        export(photos, tmp_path / "before", known_at=START)


@pytest.mark.parametrize(("changes", "message"), [
    ({"question": "cels"}, "no question `cels` has answers; did you mean `cells`"),
    ({"actor": "human:adda"}, "has no answers of human:adda; did you mean `human:ada`"),
    ({"format": "csw"}, "unknown opinion format `csw`"),
    ({"source": "others"}, "none of its 1 answers is about a file of source `others`"),
    ({"options": {"voc_orign": 0}}, "voc_orign"),
    ({"policy": "majority", "actor": "human:ada"}, "name it, and no actor"),
])  # fmt: skip
def test_what_cannot_be_exported_is_said(photos, tmp_path, changes, message):
    say(photos, tmp_path, "human:ada", CELL)
    with pytest.raises(ConfigError, match=message):
        export(photos, **{"path": tmp_path / "out", **changes})


def test_an_abstention_is_no_answer_and_labels_are_no_boxes(photos, tmp_path):
    say(photos, tmp_path, "human:ada", CELL)
    abstains = jsonl_source(tmp_path / "a.jsonl", '{"subject": "cat/2.jpg", "op": "abstain"}\n', question="cells",
                            actor="human:ada")  # fmt: skip
    lh.opinions(photos, abstains)
    assert export(photos, tmp_path / "out").counts == {"answers": 2, "exported": 1, "abstained": 1}
    labels = jsonl_source(tmp_path / "l.jsonl", '{"subject": "cat/2.jpg", "label": "cat"}\n', actor="human:ada")
    lh.opinions(photos, labels)
    with pytest.raises(ConfigError, match="format voc holds regions, and the answers of question animal are label"):
        export(photos, tmp_path / "labels", question="animal")


@pytest.mark.parametrize("format", ["voc", "coco", "labelstudio"])
def test_an_answer_of_which_nothing_can_be_written_does_not_say_that_nothing_is_there(photos, tmp_path, format):
    line = '{"kind": "interval", "label": "cell", "t_start": 1, "t_end": 2}'
    points = '{"kind": "keypoints", "label": "cell", "points": [{"x": 1, "y": 1, "v": 2}]}'
    strange = {"voc": points, "coco": line, "labelstudio": points}[format]
    say(photos, tmp_path, "human:ada", strange)
    with pytest.raises(ConfigError, match=f"format {format} can write none of the 1 answers: .*whole_answer"):
        export(photos, tmp_path / "none", format=format)
    assert not (tmp_path / "none").exists()
    lines = f'{{"subject": "cat/1.jpg", "regions": [{strange}]}}\n{{"subject": "cat/2.jpg", "regions": []}}\n'
    lines += f'{{"subject": "dog/3.jpg", "frame_w": 640, "frame_h": 480, "regions": [{CELL}, {strange}]}}\n'
    lh.opinions(photos, jsonl_source(tmp_path / "more.jsonl", lines, question="cells", actor="human:ada"))
    receipt = export(photos, tmp_path / "out", format=format)
    assert receipt.counts == {"answers": 3, "exported": 2, "not_written": 1}
    assert {note.rule: note.count for note in receipt.notes}["lost_whole_answer"] == 1
    written = sorted((tmp_path / "out").rglob("*.xml")) if (tmp_path / "out").is_dir() else [tmp_path / "out"]
    text = "".join(each.read_text() for each in written)
    assert ("2.jpg" in text, "3.jpg" in text, "1.jpg" in text) == (True, True, False)
