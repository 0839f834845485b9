"""A project of Label Studio through a lake and back: nothing that the format can hold is lost."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest
from PIL import Image

import lakehouse as lh
from lakehouse.query import fetch
from tests.making import small_lake
from tests.opinions.making import counts, land
from tests.opinions.test_labelstudio import BOX, annotation, result, task
from tests.opinions.writing import regions, said, write

TEXT = "A 🐱 sat"


def project() -> list[dict[str, object]]:
    """Two people, a prediction, a skip, a turned box, a text with an emoji, three controls and what nobody reads."""
    turned = result(value={**BOX, "rotation": 30}, id="r1", origin="manual", meta={"text": ["see"]})
    sharp = result("choices", {"choices": ["yes"]}, control="sharp", size=None, label=None, id="c1")
    span = result("labels", {"start": 5, "end": 8, "text": "sat"}, control="words", of="text", size=None, label="verb",
                  id="s1")  # fmt: skip
    prediction = {"id": 5, "model_version": "cnn@3", "score": 0.9, "created_ago": "1 day", "cluster": None,
                  "result": [result(score=0.8, id="p1")], "created_at": "2026-11-01T00:00:00Z"}  # fmt: skip
    return [
        task(annotation(turned, sharp, span, unique_id="c69c9aa0", bulk_created=False, ground_truth=True),
             annotation(result(id="r2"), number=1002, who=8), predictions=[prediction], meta={"batch": 3},
             data={"image": "cat/1.jpg", "text": TEXT}),
        task(annotation(number=1003, who=8, was_cancelled=True), number=2, data={"image": "cat/2.jpg"}),
    ]  # fmt: skip


def texts() -> list[dict[str, object]]:
    span = result("labels", {"start": 5, "end": 8, "text": "sat"}, of="text", size=None, label="verb", id="s1")
    return [task(annotation(span), data={"text": TEXT})]


def imported(lake, tmp_path, tasks, **options):
    path = tmp_path / f"in{len(list(tmp_path.iterdir()))}.json"
    path.write_text(json.dumps(tasks))
    return lh.opinions(lake, lh.OpinionSource(
        format="labelstudio", path=str(path), question="cells", actor="human:nobody", options=options))  # fmt: skip


def exported(lake, path, **options):
    receipt = lh.export_opinions(lake, format="labelstudio", path=path, **options)
    return receipt, json.loads(path.read_text())


def test_a_project_comes_back_whole(photos, tmp_path):
    receipt = imported(photos, tmp_path, project())
    # Three controls: the first annotation answers all and the skip abstains from all; a person who marks no word says
    # that there is none, a model that looks for none says nothing of them.
    assert receipt.counts == counts(read=9, new=9)
    out, tasks = exported(photos, tmp_path / "out.json")
    assert (out.counts, [note.rule for note in out.notes]) == ({"answers": 9, "exported": 9}, [])
    assert tasks == project()
    again = imported(photos, tmp_path, tasks)
    assert (again.counts["new"], again.counts["rejected"]) == (0, 0)


def test_people_models_and_skips_are_opinions_of_their_own(photos, tmp_path):
    imported(photos, tmp_path, project())
    rows = fetch(photos, "select actor_id, question_id, op, source_key, confidence from silver.opinions "
                 "order by source_key, question_id")  # fmt: skip
    assert [tuple(row.values()) for row in rows] == [
        ("human:labelstudio-7", "cells.box", "assert", "1001", None),
        ("human:labelstudio-7", "cells.sharp", "assert", "1001", None),
        ("human:labelstudio-7", "cells.words", "assert", "1001", None),
        ("human:labelstudio-8", "cells.box", "assert", "1002", None),
        ("human:labelstudio-8", "cells.words", "assert", "1002", None),
        ("human:labelstudio-8", "cells.box", "abstain", "1003", None),
        ("human:labelstudio-8", "cells.sharp", "abstain", "1003", None),
        ("human:labelstudio-8", "cells.words", "abstain", "1003", None),
        ("model:cnn@3", "cells.box", "assert", "prediction 5", 0.9),
    ]


def test_a_file_of_several_controls_asks_what_they_ask_and_nothing_else(photos, tmp_path):
    imported(photos, tmp_path, project())
    asked = fetch(photos, "select question_id, answer_kind from silver.questions order by question_id")
    assert [tuple(row.values()) for row in asked] == [
        ("cells.box", "regions"), ("cells.sharp", "label"), ("cells.words", "spans")
    ]  # fmt: skip


def test_of_one_question_its_results_alone_go_out(photos, tmp_path):
    imported(photos, tmp_path, project())
    _, tasks = exported(photos, tmp_path / "out.json", question="cells.sharp")
    assert [[r["from_name"] for r in a["result"]] for a in tasks[0]["annotations"]] == [["sharp"]]


def test_f31_an_edit_in_the_tool_is_a_later_event_and_the_rest_is_known(photos, tmp_path):
    imported(photos, tmp_path, project())
    edited = project()
    first = edited[0]["annotations"][0]
    first["result"][0]["value"]["x"] = 41.0
    first["updated_at"] = "2026-11-29T06:00:00Z"
    receipt = imported(photos, tmp_path, edited)
    assert (receipt.counts["new"], receipt.counts["same"]) == (3, 6)
    held = fetch(photos, "select count(*) as n from current_opinions where source_key = '1001'")
    assert held[0]["n"] == 3


def test_f18_a_text_with_an_emoji_is_found_by_its_bytes_and_comes_back(tmp_path):
    with small_lake(tmp_path / "lake", "opinions.max_rejected_share=1.0") as lake:
        land(lake, {"1.txt": TEXT})
        receipt = imported(lake, tmp_path, texts(), subject_kind="text")
        assert receipt.counts == counts(read=1, new=1)
        row = fetch(lake, "select subject_id, regions from silver.opinions")[0]
        assert row["subject_id"] == hashlib.sha256(TEXT.encode()).hexdigest()
        span = row["regions"][0]
        assert TEXT[span["char_start"] : span["char_end"]] == "sat"
        assert exported(lake, tmp_path / "out.json")[1] == texts()


def bare(said_):
    """The answer as if it had come from elsewhere."""
    return dataclasses.replace(said_, answer=dataclasses.replace(said_.answer, raw_json=None))


def test_answers_from_elsewhere_say_the_same_there(tmp_path):
    from lakehouse.opinions.reading.answer import Region

    held = [
        Region(kind="box", label="a", region_id="1", x=259.0, y=176.0, w=232.0, h=200.0, angle=30.0),
        Region(kind="ellipse", label="a", region_id="2", x=5.0, y=15.0, w=10.0, h=20.0),
        Region(kind="polygon", label="b", region_id="3", closed=True, x=0.0, y=0.0, w=320.0, h=240.0, points=tuple(
            {"x": x, "y": y} for x, y in ((0.0, 0.0), (320.0, 0.0), (320.0, 240.0)))),
        Region(kind="point", label="c", region_id="4", points=({"x": 160.0, "y": 240.0},), x=160.0, y=240.0, w=0.0,
               h=0.0, attrs={"seen": "twice"}),
        Region(kind="mask", label="m", region_id="5", mask_encoding="coco_rle", mask_counts="2111", mask_h=2, mask_w=3,
               x=1.0, y=0.0, w=2.0, h=2.0, area=3.0),
    ]  # fmt: skip
    assert write("labelstudio", tmp_path / "a.json", said(*held[:4]), object="image") == []
    assert regions("labelstudio", tmp_path / "a.json") == held[:4]
    assert write("labelstudio", tmp_path / "b.json", said(held[4], size=(3, 2))) == []
    assert regions("labelstudio", tmp_path / "b.json") == held[4:]
    several = Region(kind="polygon", label="a", points=held[2].points * 2, part_sizes=(3, 3), closed=True)
    assert write("labelstudio", tmp_path / "c.json", said(several)) == ["part_sizes"]
    assert [each.points for each in regions("labelstudio", tmp_path / "c.json")] == [held[2].points] * 2
    strange = Region(kind="keypoints", label="a", points=held[2].points)
    assert write("labelstudio", tmp_path / "e.json", said(held[0], strange)) == ["unknown_shape"]
    assert regions("labelstudio", tmp_path / "e.json") == held[:1]
    assert write("labelstudio", tmp_path / "d.json", said(held[0], size=None)) == ["no_frame_size"]


def test_a_changed_annotation_is_made_anew_and_one_of_another_person_is_too(photos, tmp_path):
    imported(photos, tmp_path, project())
    lh.record_opinions(photos, [{"entity_id": hashlib.sha256(b"cat/1.jpg").hexdigest(), "label": "no"}],
                       source="notes", question="cells.sharp", actor="human:ada")  # fmt: skip
    _, tasks = exported(photos, tmp_path / "out.json", question="cells.sharp")
    made = next(each for each in tasks if "id" not in each)["annotations"][0]
    assert made["completed_by"] == {"username": "ada"}
    assert made["result"] == [{"id": "cells.sharp", "type": "choices", "from_name": "cells.sharp", "to_name": "image",
                               "value": {"choices": ["no"]}}]  # fmt: skip


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_f24_percents_are_of_the_upright_picture_and_come_back_so(tmp_path, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    (tmp_path / "img").mkdir()
    Image.new("L", (64, 48), 7).save(tmp_path / "img" / "1.jpg", exif=exif)
    # Browsers show it as 48 x 64 px: a box at its top-left corner, and one that is turned.
    size = (48, 64)
    flat = result(value={"x": 0, "y": 0, "width": 25, "height": 12.5, "rotation": 0}, size=size, id="a")
    turned = result(value={"x": 50, "y": 50, "width": 25, "height": 12.5, "rotation": 30}, size=size, id="b")
    tasks = [task(annotation(flat, turned), data={"image": "1.jpg"})]
    with small_lake(tmp_path / "lake") as lake:
        lh.land(lake, lh.Source(name="drop", folder=str(tmp_path / "img")))
        lh.entities(lake)
        imported(lake, tmp_path, tasks)
        row = fetch(lake, "select frame_w, frame_h, exif_orientation, regions from silver.opinions")[0]
        assert (row["frame_w"], row["frame_h"], row["exif_orientation"]) == (64, 48, orientation)
        corner = {5: (0, 0), 6: (0, 36), 7: (56, 36), 8: (56, 0)}[orientation]
        first = next(each for each in row["regions"] if each["region_id"] == "a")
        assert (first["x"], first["y"], first["w"], first["h"]) == (*corner, 8, 12)
        assert exported(lake, tmp_path / "out.json")[1] == tasks
        # Said anew by somebody else, without the record it came with.
        lh.record_opinions(lake, [{"entity_id": fetch(lake, "select entity_id from silver.entities")[0]["entity_id"],
                                   "regions": [dict(each, attrs=None, points=None) for each in row["regions"]],
                                   "frame_w": 64, "frame_h": 48, "exif_orientation": orientation}],
                           source="x", question="cells", actor="human:ada")  # fmt: skip
        made = exported(lake, tmp_path / "new.json", actor="human:ada")[1][0]["annotations"][0]["result"]
        for ours, theirs in zip(made, (flat, turned), strict=True):
            assert (ours["original_width"], ours["original_height"]) == size
            box = {name: ours["value"][name] for name in ("x", "y", "width", "height")}
            angle = ours["value"]["rotation"]
            assert box | {"rotation": angle} == pytest.approx(
                {name: theirs["value"][name] for name in (*box, "rotation")})


