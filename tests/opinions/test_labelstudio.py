"""Label Studio's JSON: people and models, skips, several controls; shapes in percent, texts in UTF-16 units."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lakehouse.opinions.formats.labelstudio.brush import decode_brush, encode_brush
from lakehouse.opinions.geometry.regions import mask_of_region
from lakehouse.opinions.reading.answer import Answer, Note
from tests.opinions.making import answers, items, rules

BOX = {"x": 40.46875, "y": 36.666666666666664, "width": 36.25, "height": 41.666666666666664, "rotation": 0}


def result(kind="rectanglelabels", value=BOX, *, control="box", of="image", size=(640, 480), label="cell", **more):
    """One result as Label Studio writes it."""
    sized = {"original_width": size[0], "original_height": size[1], "image_rotation": 0} if size else {}
    labels = {kind: [label]} if label and kind.endswith("labels") else {}
    return {"type": kind, "from_name": control, "to_name": of, **sized, "value": {**value, **labels}, **more}


def annotation(*results, number=1001, who=7, **more):
    """One annotation."""
    return {"id": number, "completed_by": who, "result": list(results), "was_cancelled": False, "ground_truth": False,
            "created_at": "2026-11-29T05:34:28.846772Z", "updated_at": "2026-11-29T05:40:00.000001Z",
            "lead_time": 12.5, **more}  # fmt: skip


def task(*annotations, predictions=(), number=1, data=None, **more):
    """One task."""
    return {"id": number, "data": data or {"image": "cat/1.jpg"}, "annotations": list(annotations),
            "predictions": list(predictions), **more}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path):
    """Return a function that writes tasks and gives the file."""

    def write(*tasks: object) -> Path:
        path = tmp_path / "project.json"
        path.write_text(json.dumps(list(tasks)), encoding="utf-8")
        return path

    return write


def regions(path: Path, **options: object):
    return [region for each in answers("labelstudio", path, **options) for region in each.value]


def notes(path: Path, **options: object) -> list[str]:
    return [each.rule for each in items("labelstudio", path, **options) if isinstance(each, Note)]


def test_f15_percents_are_of_width_and_of_height(file):
    found = regions(file(task(annotation(result()))))
    assert [(r.kind, r.label, r.x, r.y, r.w, r.h, r.angle) for r in found] == [
        ("box", "cell", 259.0, 176.0, 232.0, 200.0, None)
    ]


def test_f15_a_box_is_turned_about_its_top_left_corner_and_ours_about_its_centre(file):
    # 100 x 40 px at (200, 100), turned clockwise by 90 degrees: it lies from x 160 to 200, y 100 to 200.
    value = {"x": 20, "y": 20, "width": 10, "height": 8, "rotation": 90}
    (found,) = regions(file(task(annotation(result(value=value, size=(1000, 500))))))
    assert (found.x, found.y, found.w, found.h, found.angle) == (130.0, 130.0, 100.0, 40.0, 90.0)
    # Its centre, about which we turn it, is that of what is seen.
    assert (found.x + found.w / 2, found.y + found.h / 2) == ((160 + 200) / 2, (100 + 200) / 2)


def test_f16_people_and_models_answer_and_a_skip_abstains(file):
    prediction = {"id": 5, "model_version": "cnn@3", "score": 0.9, "result": [result(score=0.8)]}
    other = {"id": 6, "model_version": "round two", "result": [result()]}
    found = answers("labelstudio", file(
        task(annotation(result()), annotation(number=1002, who={"id": 8, "email": "bo@example.org"},
                                              was_cancelled=True), predictions=[prediction, other]),
        task(annotation(result(), number=1003, ground_truth=True), number=2),
    ))  # fmt: skip
    assert [(a.actor_id, a.op, a.source_key, a.confidence) for a in found] == [
        ("human:labelstudio-7", "assert", "1001", None), ("human:labelstudio-8", "abstain", "1002", None),
        ("model:cnn@3", "assert", "prediction 5", 0.9),
        ("model:labelstudio@round two", "assert", "prediction 6", None),
        ("human:labelstudio-7", "assert", "1003", None),
    ]  # fmt: skip
    assert found[2].value[0].score == 0.8
    assert found[0].ext["lead_time"] == "12.5"
    assert found[4].ext["ground_truth"] == "true"
    assert (found[0].event_time.isoformat(), found[0].source_version) == (
        "2026-11-29T05:40:00.000001+00:00", "2026-11-29T05:40:00.000001Z"
    )  # fmt: skip


def test_f16_a_person_is_one_actor_whether_a_file_has_a_number_or_an_object(file):
    path = file(task(annotation(result()), annotation(result(), number=2, who={"id": 7, "email": "ada@example.org"})))
    assert {each.actor_id for each in answers("labelstudio", path)} == {"human:labelstudio-7"}
    assert {each.actor_id for each in answers("labelstudio", path, users={"7": "human:ada"})} == {"human:ada"}


def test_f16_drafts_are_told_and_read_only_where_they_are_asked_for(file):
    path = file(task(annotation(result()), drafts=[{"id": 3, "user": "ada@example.org", "result": [result()]}]))
    assert len(answers("labelstudio", path)) == 1
    assert notes(path) == ["drafts_not_read"]
    drafts = answers("labelstudio", path, drafts=True)
    assert [(a.slot, a.source_key, a.actor_id) for a in drafts] == [
        ("", "1001", "human:labelstudio-7"), ("draft", "draft 3", "human:labelstudio-ada@example.org"),
    ]  # fmt: skip


def test_f16_predictions_that_an_export_has_inside_annotations_alone_are_read(file):
    inside = {"id": 5, "model_version": "cnn@3", "result": [result()]}
    path = file(task(annotation(result(), prediction=inside), predictions=[5, 6]))
    assert [a.actor_id for a in answers("labelstudio", path)] == ["human:labelstudio-7", "model:cnn@3"]
    assert notes(path) == ["predictions_not_in_file"]


def test_f17_two_controls_are_two_questions(file):
    sharp = result("choices", {"choices": ["yes"]}, control="sharp", size=None)
    path = file(task(annotation(result(), sharp)), task(annotation(result(), number=2), number=2))
    found = answers("labelstudio", path)
    assert [(a.question_id, a.value_kind, a.source_key) for a in found] == [
        ("animal.box", "regions", "1001"), ("animal.sharp", "label", "1001"), ("animal.box", "regions", "2"),
    ]  # fmt: skip
    assert notes(path) == ["controls"]
    named = answers("labelstudio", path, controls={"box": "cells", "sharp": "sharpness"})
    assert [a.question_id for a in named] == ["cells", "sharpness", "cells"]


def test_f17_a_skip_abstains_from_both(file):
    sharp = result("choices", {"choices": ["yes"]}, control="sharp", size=None)
    path = file(task(annotation(result(), sharp)), task(annotation(number=2, was_cancelled=True), number=2))
    assert [(a.question_id, a.op) for a in answers("labelstudio", path)][2:] == [
        ("animal.box", "abstain"), ("animal.sharp", "abstain")
    ]  # fmt: skip


def test_an_annotation_without_regions_says_that_nothing_is_there(file):
    assert [a.value for a in answers("labelstudio", file(task(annotation(result())), task(annotation(), number=2)))][
        1
    ] == ()
    alone = file(task(annotation()))
    assert rules("labelstudio", alone) == [("project.json: task 1, annotation 1001", "no_control")]
    assert [a.value for a in answers("labelstudio", alone, empty="regions")] == [()]


TEXT = "A 🐱 sat"


@pytest.mark.parametrize(("start", "end"), [(5, 8), (4, 7)], ids=["UTF-16 units", "code points"])
def test_f18_a_span_after_an_emoji_is_the_text_that_it_states(file, start, end):
    span = result("labels", {"start": start, "end": end, "text": "sat"}, of="text", size=None, label="verb")
    (found,) = regions(file(task(annotation(span), data={"text": TEXT})), subject_kind="text")
    assert TEXT[found.char_start : found.char_end] == "sat" == found.attrs["text"]
    assert (found.kind, found.label, found.char_start) == ("span", "verb", 4)


@pytest.mark.parametrize(("value", "rule"), [
    ({"start": 3, "end": 4}, "bad_span"),                      # inside the emoji's pair
    ({"start": 5, "end": 80}, "bad_span"),
    ({"start": 0, "end": 1, "text": "sat"}, "span_differs"),
    ({"start": "/p[1]", "end": "/p[1]", "startOffset": 1, "endOffset": 2}, "paragraph_span"),
])  # fmt: skip
def test_f18_a_span_that_fits_nowhere_is_rejected(file, value, rule):
    span = result("labels", value, of="text", size=None, label="verb")
    path = file(task(annotation(span), data={"text": TEXT}))
    assert [rule for _, rule in rules("labelstudio", path, subject_kind="text")] == [rule]


def test_f19_a_brush_is_read_row_by_row(file):
    import numpy as np

    mask = np.array([[0, 1, 1], [0, 0, 1]], bool)
    packed = encode_brush(mask)
    assert (decode_brush(packed, width=3, height=2) == mask).all()
    brush = result("brushlabels", {"format": "rle", "rle": packed}, size=(3, 2))
    (found,) = regions(file(task(annotation(brush))))
    assert (found.kind, found.mask_counts, found.x, found.y, found.w, found.h, found.area) == (
        "mask", "2111", 1, 0, 2, 2, 3
    )  # fmt: skip
    assert (mask_of_region(found, 2, 3) == mask).all()


def test_f19_the_bytes_that_label_studio_itself_packs_are_read():
    # encode_rle of label-studio-sdk 2.1.2 on the RGBA of the mask [[0, 1, 1], [0, 0, 1]].
    packed = [0, 0, 0, 24, 57, 27, 252, 96, 19, 255, 206, 1, 31, 248]
    assert decode_brush(packed, width=3, height=2).tolist() == [[False, True, True], [False, False, True]]


def test_the_other_shapes(file):
    path = file(task(annotation(
        result("ellipselabels", {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "rotation": 30}, control="a"),
        result("polygonlabels", {"points": [[0, 0], [50, 0], [50, 50]]}, control="a"),
        result("polygon", {"points": [[0, 0], [50, 0]], "closed": False}, control="a", label=None),
        result("keypointlabels", {"x": 25, "y": 50, "width": 0.5}, control="a"),
    )))  # fmt: skip
    ellipse, polygon, line, point = regions(path)
    assert (ellipse.kind, ellipse.x, ellipse.y, ellipse.w, ellipse.h, ellipse.angle) == (
        "ellipse", 256, 144, 128, 192, 30
    )  # fmt: skip
    assert (polygon.kind, polygon.closed, [(p["x"], p["y"]) for p in polygon.points]) == (
        "polygon", True, [(0, 0), (320, 0), (320, 240)]
    )  # fmt: skip
    assert (line.kind, line.closed, line.label) == ("polyline", False, None)
    assert (point.kind, point.x, point.y, point.w) == ("point", 160, 240, 0)


def test_sounds_and_videos(file):
    sound = result("labels", {"start": 0.5, "end": 1.25, "channel": 1}, of="audio", size=None, original_length=3.0)
    (found,) = regions(file(task(annotation(sound), data={"audio": "a.wav"})), subject_kind="audio")
    assert (found.kind, found.t_start, found.t_end, found.channel) == ("interval", 0.5, 1.25, 1)
    shape = {"x": 10, "y": 10, "width": 10, "height": 10, "rotation": 0}
    track = result("videorectangle", {
        "framesCount": 20, "labels": ["car"],
        "sequence": [{**shape, "frame": 1, "enabled": True}, {**shape, "x": 20, "frame": 5, "enabled": False},
                     {**shape, "frame": 9, "enabled": True}],
    }, of="video", size=(100, 100), id="t1")  # fmt: skip
    found = regions(file(task(annotation(track), data={"video": "a.mp4"})), subject_kind="video")
    assert [(r.track_id, r.label, r.x, r.frame_start, r.frame_end, r.attrs) for r in found] == [
        ("t1", "car", 10, 0, 3, {"interpolation": "linear"}), ("t1", "car", 20, 4, 4, None),
        ("t1", "car", 10, 8, 19, None),
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "said"), [
    ("choices", {"choices": ["yes"]}, ("label", "yes")),
    ("choices", {"choices": ["b", "a"]}, ("labels", ("a", "b"))),
    ("rating", {"rating": 4}, ("number", 4.0)),
    ("number", {"number": 2.5}, ("number", 2.5)),
    ("textarea", {"text": ["one", "two"]}, ("text", "one\ntwo")),
    ("taxonomy", {"taxonomy": [["animal", "cat"]]}, ("label", "animal/cat")),
    ("taxonomy", {"taxonomy": [["animal", "cat"], ["animal"]]}, ("labels", ("animal", "animal/cat"))),
    ("ranker", {"ranker": ["c", "a", "b"]}, ("ranking", ("c", "a", "b"))),
    ("pairwise", {"selected": "left"}, ("label", "left")),
])  # fmt: skip
def test_answers_without_a_place(file, kind, value, said):
    (found,) = answers("labelstudio", file(task(annotation(result(kind, value, size=None, label=None)))))
    assert (found.value_kind, found.value) == said


def test_a_label_beside_its_rectangle_and_what_is_said_of_a_region(file):
    path = file(task(annotation(
        result("rectangle", control="rect", label=None, id="r1"),
        result("labels", control="kind", label="cell", id="r1"),
        result("choices", {**BOX, "choices": ["old"]}, control="age", label=None, id="r1"),
        result("rectangle", control="rect", label=None, id="r2"),
    )))  # fmt: skip
    (found,) = answers("labelstudio", path)
    assert [(r.region_id, r.kind, r.label, r.x, r.attrs) for r in found.value] == [
        ("r1", "box", "cell", 259.0, {"age": "old"}), ("r2", "box", None, 259.0, None),
    ]  # fmt: skip
    assert found.ext["control"] == "kind"


@pytest.mark.parametrize(("document", "rule"), [
    ("{", "malformed"), ("[1]", "wrong_type"), ('[{"image": "a.jpg", "annotator": 1}]', "not_labelstudio"),
    ('[{"id": 1, "data": {"a": "1.jpg", "b": "2.jpg"}, "annotations": [{"id": 1, "result": []}]}]', "no_subject"),
    ('[{"id": 1, "data": {"image": "1.jpg"}, "annotations": [{"id": 1, "result": [{"type": "rectanglelabels", '
     '"from_name": "a", "value": {"x": 1, "y": 1, "width": 1, "height": 1}}]}]}]', "no_frame_size"),
    ('[{"id": 1, "data": {"image": "1.jpg"}, "annotations": [{"id": 1, "result": 5}]}]', "wrong_type"),
    ('[{"id": 1, "data": {"image": "1.jpg"}, "annotations": [{"id": 1, "result": [{"type": "cube", '
     '"from_name": "a", "value": {}}]}]}]', "unknown_result"),
])  # fmt: skip
def test_what_cannot_be_read_is_rejected_with_a_rule(tmp_path, document, rule):
    path = tmp_path / "a.json"
    path.write_text(document)
    assert [found for _, found in rules("labelstudio", path)] == [rule]


def test_one_bad_region_costs_its_annotation_alone(file):
    turned = result(image_rotation=90)
    path = file(task(annotation(result()), annotation(turned, number=2)))
    assert isinstance(items("labelstudio", path)[0], Answer)
    assert rules("labelstudio", path) == [("project.json: task 1, annotation 2, box", "image_rotated")]
