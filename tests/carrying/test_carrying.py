"""What is said about a picture is said again about what was made of it, once, and follows when it changes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import lakehouse as lh
from jobs.cli import main as petrel
from lakehouse.carrying.step import carry
from lakehouse.deriving.registry import transform_named
from lakehouse.deriving.step import derive
from lakehouse.deriving.transform import chain_of
from lakehouse.opinions.predictions import record_opinions
from lakehouse.opinions.retract import retract_opinions
from lakehouse.query import fetch
from tests.corpus import good_images

FLIP = chain_of(["flip"], transform_named)
CROP = chain_of(["crop:left=0,top=0,width=10,height=10"], transform_named)
JANUARY, MARCH = "2025-01-01T00:00:00Z", "2025-03-01T00:00:00Z"


def carried(lake, chain, **options):
    return carry(lake, chain.operation, chain.parameters_json, **options)


@pytest.fixture
def landed(lake, tmp_path):
    """A lake with three pictures, each flipped and cropped."""
    good_images(tmp_path / "drop", 3)
    lh.land(lake, lh.Source(name="things", folder=str(tmp_path / "drop")))
    lh.entities(lake)
    for chain in (FLIP, CROP):
        derive(lake, chain)
    return lake


def parents(lake):
    return [row["entity_id"] for row in fetch(
        lake, "select entity_id from silver.entities where parent_id is null order by entity_id"
    )]  # fmt: skip


def children(lake, chain):
    rows = fetch(lake, "select parent_id, entity_id from silver.derivations where operation = $o",
                 params={"o": chain.operation})  # fmt: skip
    return {row["parent_id"]: row["entity_id"] for row in rows}


def say(lake, rows, *, question="species", actor="human:ann", time=JANUARY):
    rows = [{"entity_id": about, "event_time": time, **said} for about, said in rows]
    return record_opinions(lake, rows, source="round", question=question, actor=actor)


def held(lake, about):
    return fetch(lake, "select * from current_opinions where subject_id = $about and op <> 'retract' "
                 "order by question_id, actor_id", params={"about": about})  # fmt: skip


def test_answers_about_the_whole_are_repeated_with_actor_question_and_time(landed):
    one, two, _ = parents(landed)
    say(landed, [(one, {"label": "cat", "confidence": 0.5}), (two, {"label": "dog"})])
    say(landed, [(one, {"number": 3.5})], question="size")
    say(landed, [(one, {"op": "abstain"})], question="colour", actor="human:bob")
    say(landed, [(one, {"label": "cow"})], actor="model:cnn@1")
    receipt = carried(landed, FLIP)
    assert receipt.counts == {"seen": 4, "carried": 4, "known": 0, "not_carried": 0, "taken_back": 0}
    child = children(landed, FLIP)[one]
    colour, size, species = held(landed, child)
    (original,) = [row for row in held(landed, one) if row["label"] == "cat"]
    assert (species["label"], species["confidence"], size["number"], colour["op"]) == ("cat", 0.5, 3.5, "abstain")
    for name in ("actor_id", "question_id", "question_version", "event_time", "event_time_source", "slot"):
        assert species[name] == original[name]
    assert dict(species["ext"]) == {
        "carried_from": original["opinion_id"], "carried_by": f"{FLIP.operation} {FLIP.parameters_json}",
        "carried_through": one,
    }  # fmt: skip
    assert held(landed, children(landed, CROP)[one]) == []
    again = carried(landed, FLIP)
    assert (again.counts["known"], again.counts["carried"], again.rows_new) == (4, 0, 0)
    # Predictions only where they are asked for; where they are not they stay as they are.
    models = carried(landed, FLIP, models=True)
    assert (models.counts["seen"], models.counts["carried"]) == (5, 1)
    assert carried(landed, FLIP).rows_new == carried(landed, FLIP, models=True).rows_new == 0


def test_of_two_parents_with_one_child_the_last_word_of_an_actor_is_carried(lake, tmp_path):
    (tmp_path / "drop").mkdir()
    pixels = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
    for level in (1, 9):
        pixels.save(tmp_path / "drop" / f"{level}.png", compress_level=level)
    lh.land(lake, lh.Source(name="things", folder=str(tmp_path / "drop")))
    lh.entities(lake)
    derive(lake, FLIP)
    one, two = parents(lake)
    (child,) = set(children(lake, FLIP).values())
    say(lake, [(one, {"label": "cat"})], time=MARCH)
    say(lake, [(two, {"label": "dog"})])
    receipt = carried(lake, FLIP)
    assert (receipt.counts["carried"], receipt.counts["not_carried"]) == (1, 1)
    assert [note.rule for note in receipt.notes] == ["said_of_another_parent"]
    assert [row["label"] for row in held(lake, child)] == ["cat"]
    assert carried(lake, FLIP).rows_new == 0
    retract_opinions(lake, [held(lake, one)[0]["opinion_id"]], reason="wrong picture")
    assert carried(lake, FLIP).counts["carried"] == 1
    assert [row["label"] for row in held(lake, child)] == ["dog"]


def test_other_pairs_of_keypoints_carry_anew(landed):
    one, two, _ = parents(landed)
    points = [{"x": 1.0, "y": 1.0, "v": 2}, {"x": 5.0, "y": 1.0, "v": 1}]
    face = {"kind": "keypoints", "label": "face", "x": 1.0, "y": 1.0, "w": 4.0, "h": 2.0, "points": points}
    say(landed, [(one, {"regions": [face]}), (two, {"regions": []})], question="faces")
    for pairs, seen, new in (((), [2, 1], 2), ([(0, 1)], [1, 2], 1), ([(1, 0)], [1, 2], 0), ((), [2, 1], 1)):
        assert carried(landed, FLIP, pairs=pairs).counts["carried"] == new
        (found,) = held(landed, children(landed, FLIP)[one])
        assert [each["v"] for each in found["regions"][0]["points"]] == seen


def test_a_correction_and_a_retraction_of_the_parent_follow(landed):
    one, two, _ = parents(landed)
    child, other = (children(landed, FLIP)[each] for each in (one, two))
    say(landed, [(one, {"label": "cat"}), (two, {"label": "dog"})])
    carried(landed, FLIP)
    say(landed, [(one, {"label": "cow"})])  # at the same time: it takes the place of the first
    say(landed, [(two, {"label": "bee"})], time=MARCH)
    receipt = carried(landed, FLIP)
    assert (receipt.counts["carried"], receipt.counts["taken_back"]) == (2, 0)
    assert [[row["label"] for row in held(landed, each)] for each in (child, other)] == [["cow"], ["bee"]]
    retract_opinions(landed, [held(landed, one)[0]["opinion_id"]], reason="wrong picture")
    receipt = carried(landed, FLIP)
    assert (receipt.counts["carried"], receipt.counts["taken_back"]) == (0, 1)
    assert held(landed, child) == []
    assert carried(landed, FLIP).rows_new == 0
    # Said again after that it is carried again, and again is another event.
    say(landed, [(one, {"label": "cow"})], time=MARCH)
    assert carried(landed, FLIP).counts["carried"] == 1
    assert [row["label"] for row in held(landed, child)] == ["cow"]
    assert carried(landed, FLIP).rows_new == 0


def test_an_import_that_is_taken_back_and_comes_again_is_carried_each_time(landed):
    from lakehouse.opinions.imports import imports_of
    from lakehouse.opinions.retract import retract_import

    one = parents(landed)[0]
    child = children(landed, FLIP)[one]
    say(landed, [(one, {"label": "cat"})])
    carried(landed, FLIP)
    say(landed, [(one, {"label": "cow"})])
    carried(landed, FLIP)
    last = held(landed, one)[0]["batch_id"]
    retract_import(landed, next(each for each in imports_of(landed) if each.batch_id == last))
    for expected in ("cat", "cow"):
        if expected == "cow":
            say(landed, [(one, {"label": "cow"})])
        assert [row["label"] for row in held(landed, one)] == [expected]
        assert carried(landed, FLIP).counts["carried"] == 1
        assert [row["label"] for row in held(landed, child)] == [expected]
        assert carried(landed, FLIP).rows_new == 0


def test_what_is_said_of_the_child_goes_before(landed):
    one = parents(landed)[0]
    child = children(landed, FLIP)[one]
    say(landed, [(one, {"label": "cat"})], time=MARCH)
    carried(landed, FLIP)
    say(landed, [(child, {"label": "dog"})])
    receipt = carried(landed, FLIP)
    assert (receipt.counts["not_carried"], receipt.counts["taken_back"]) == (1, 1)
    assert [note.rule for note in receipt.notes] == ["said_of_the_child"]
    assert [row["label"] for row in held(landed, child)] == ["dog"]


def test_regions_move_and_what_lies_outside_is_left_out_and_counted(landed):
    one, two, three = parents(landed)
    say(
        landed,
        [
            (one, {"regions": [{"kind": "box", "label": "a", "x": 2, "y": 3, "w": 4, "h": 5, "area": 20},
                               {"kind": "box", "label": "b", "x": 8, "y": 8, "w": 6, "h": 4, "area": 24},
                               {"kind": "box", "label": "c", "x": 12, "y": 1, "w": 2, "h": 2, "area": 4}]}),
            (two, {"regions": [{"kind": "interval", "label": "a", "t_start": 0.0, "t_end": 1.0}]}),
            (three, {"regions": []}),
        ],
        question="things",
    )  # fmt: skip
    receipt = carried(landed, CROP)
    assert receipt.counts == {"seen": 3, "carried": 2, "known": 0, "not_carried": 1, "taken_back": 0}
    notes = {note.rule: note.count for note in receipt.notes}
    assert notes == {"cut_at_border": 1, "left_outside": 1, "not_carried_of_time": 1}
    (found,) = held(landed, children(landed, CROP)[one])
    assert [[each[name] for name in ("label", "x", "y", "w", "h", "area")] for each in found["regions"]] == [
        ["a", 2, 3, 4, 5, 20], ["b", 8, 8, 2, 2, 4],
    ]  # fmt: skip
    assert (found["frame_w"], found["frame_h"], found["labels"]) == (10, 10, ["a", "b"])
    assert held(landed, children(landed, CROP)[three])[0]["regions"] == []
    assert carried(landed, FLIP).counts["carried"] == 2
    width = held(landed, one)[0]["frame_w"]
    (flipped,) = held(landed, children(landed, FLIP)[one])
    assert [each["x"] for each in flipped["regions"]] == [width - 6, width - 14, width - 14]
    # What an answer said that cannot be moved any more is taken back.
    say(landed, [(one, {"regions": [{"kind": "interval", "label": "a", "t_start": 0.0, "t_end": 1.0}]})],
        question="things")  # fmt: skip
    assert carried(landed, CROP).counts["taken_back"] == 1
    assert held(landed, children(landed, CROP)[one]) == []


def test_carrying_goes_on_to_what_was_made_of_children_and_not_round(landed):
    one = parents(landed)[0]
    derive(landed, FLIP, where="operation = 'flip@1'")  # gives the flipped ones' mirror, and theirs
    derive(landed, FLIP, where="parent_id is not null")
    say(landed, [(one, {"label": "cat"})])
    for _ in range(4):
        carried(landed, FLIP)
    rows = fetch(landed, "select subject_id from current_opinions where op = 'assert'")
    assert len(rows) == len({row["subject_id"] for row in rows})
    assert carried(landed, FLIP).rows_new == 0


def test_the_command(landed, capsys):
    root = str(landed.home.folder)
    say(landed, [(parents(landed)[0], {"label": "cat"})])
    assert petrel(["derive", "--lake", root, "--transform", "flip", "--labels", "carry"]) == 0
    assert "1 carried" in capsys.readouterr().out
    asked = ["--labels", "carry", "--keypoint-pairs"]
    wrong = [(["--keypoint-pairs", "1-2"], "not asked for"), ([*asked, "1"], "1-2,3-4"), ([*asked, "1-1"], "alone")]
    for options, message in wrong:
        assert petrel(["derive", "--lake", root, "--transform", "flip", *options]) == 1
        assert message in capsys.readouterr().err
