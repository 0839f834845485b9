"""COCO, in and out, beside pycocotools: ids of categories, masks, crowds, keypoints, results, panoptic, captions."""

from __future__ import annotations

import contextlib
import io
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pycocotools import mask as oracle
from pycocotools.coco import COCO

import lakehouse as lh
from lakehouse.errors import IngestError
from lakehouse.labels.changes import set_parent
from lakehouse.opinions.exporting.answers import answer_of
from lakehouse.opinions.formats.coco.options import CocoOptions
from lakehouse.opinions.formats.coco.panoptic import ids_of, pixels_of
from lakehouse.opinions.formats.coco.read import read_coco, read_coco_piece
from lakehouse.opinions.formats.format import Piece
from lakehouse.opinions.formats.writer import Ontology
from lakehouse.opinions.reading.answer import Note, Region, Reject
from lakehouse.opinions.reading.answer_rows import ITEMS, PARTS, ReadPlan, read_parts
from lakehouse.query import fetch
from tests.opinions.making import answers, counts, items, rules
from tests.opinions.writing import said as as_said
from tests.opinions.writing import write

# pycocotools 2.0.11 warns of its own arrays with numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PICTURES = [{"id": 397133, "file_name": "cat/1.jpg", "width": 640, "height": 480},
            {"id": 37777, "file_name": "cat/2.jpg", "width": 640, "height": 480},
            {"id": 252219, "file_name": "dog/3.jpg", "width": 640, "height": 480}]
CATEGORIES = [{"id": 90, "name": "toothbrush", "supercategory": "indoor"},
              {"id": 1, "name": "person", "supercategory": "person"}]
SQUARE = [1, 1, 5, 1, 5, 5, 1, 5]


def annotation(number: int = 1, picture: int = 397133, category: int = 1, **fields: Any) -> dict[str, Any]:
    return {"id": number, "image_id": picture, "category_id": category, "bbox": [1, 1, 4, 4], "iscrowd": 0, **fields}


def coco(path: Path, *annotations: dict[str, Any], **changes: Any) -> Path:
    path.write_text(json.dumps({"images": PICTURES, "annotations": annotations, "categories": CATEGORIES, **changes}))
    return path


def source(path: Path, **changes: Any) -> lh.OpinionSource:
    about = {"question": "things", "actor": "human:ada", "source": "photos"}
    return lh.OpinionSource(**{"format": "coco", "path": str(path), **about, **changes})


def exported(lake: lh.Lake, path: Path, **options: Any) -> dict[str, Any]:
    lh.export_opinions(lake, format="coco", path=path, question="things", options=options)
    return json.loads(path.read_text())


def opened(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def said(lake: lh.Lake) -> list[Any]:
    rows = fetch(lake, "select o.*, s.path from current_opinions o join silver.entity_sources s "
                       "on s.entity_id = o.subject_id order by s.path, o.slot")  # fmt: skip
    return [answer_of(row).value for row in rows]


def test_f7_ids_of_categories_are_kept_and_written_back(photos, tmp_path):
    file = coco(tmp_path / "a.json", annotation(category=90))
    assert lh.opinions(photos, source(file)).counts == counts(read=3, new=3)
    rows = fetch(photos, "select label_id, ordinal, export_ids from silver.label_sets order by ordinal")
    assert [(row["label_id"], row["ordinal"], dict(row["export_ids"])) for row in rows] == [
        ("toothbrush", 0, {"coco": "90"}), ("person", 1, {"coco": "1"}),
    ]  # fmt: skip
    back = exported(photos, tmp_path / "b.json")
    assert [(each["id"], each["name"]) for each in back["categories"]] == [(1, "person"), (90, "toothbrush")]
    assert back["annotations"][0]["category_id"] == 90
    # Another file that numbers them otherwise teaches nothing, and that is told.
    other = coco(tmp_path / "c.json", categories=[{"id": 7, "name": "person"}])
    notes = lh.opinions(photos, source(other, actor="human:bob")).notes
    assert [(note.rule, note.example) for note in notes if note.rule == "export_id_differs"] == [
        ("export_id_differs", "coco gives person the id 7, the lake holds 1, which stays")
    ]


def test_a_picture_without_annotations_answers_nothing_there_and_comes_back(photos, tmp_path):
    lh.opinions(photos, source(coco(tmp_path / "a.json", annotation())))
    assert [len(each) for each in said(photos)] == [1, 0, 0]
    assert len(exported(photos, tmp_path / "b.json")["images"]) == 3


@pytest.mark.parametrize("compressed", [True, False])
def test_f8_masks_are_those_of_pycocotools_on_both_sides(photos, tmp_path, compressed):
    mask = np.zeros((480, 640), np.uint8)
    mask[10:200, 30:90] = mask[50:60, 80:400] = 1
    theirs = oracle.encode(np.asfortranarray(mask))
    changes = np.flatnonzero(np.diff(mask.T.ravel(), prepend=2))
    runs = np.diff(changes, append=mask.size).tolist()
    segmentation = {"size": [480, 640], "counts": theirs["counts"].decode() if compressed else runs}
    lh.opinions(photos, source(coco(tmp_path / "a.json", annotation(segmentation=segmentation, iscrowd=1))))
    region = said(photos)[0][0]
    assert (region.kind, region.mask_counts, region.mask_h, region.mask_w, region.area, region.iscrowd) == (
        "mask", theirs["counts"].decode(), 480, 640, float(mask.sum()), True,
    )
    exported(photos, tmp_path / "b.json")
    again = opened(tmp_path / "b.json")
    assert (again.annToMask(again.anns[1]) == mask).all()
    assert again.anns[1]["iscrowd"] == 1


def test_f9_the_area_of_a_polygon_is_that_of_its_mask(tmp_path):
    region = answers("coco", coco(tmp_path / "a.json", annotation(segmentation=[SQUARE])))[0].value[0]
    assert (region.kind, region.area) == ("polygon", 16)


def test_f10_an_object_of_several_polygons_is_one_region(photos, tmp_path):
    parts = [SQUARE, [10, 10, 20, 10, 20, 20]]
    lh.opinions(photos, source(coco(tmp_path / "a.json", annotation(segmentation=parts, bbox=[1, 1, 19, 19]))))
    (region,) = said(photos)[0]
    assert (region.part_sizes, len(region.points)) == ((4, 3), 7)
    back = exported(photos, tmp_path / "b.json")
    assert (back["annotations"][0]["segmentation"], back["annotations"][0]["bbox"]) == (parts, [1, 1, 19, 19])
    assert opened(tmp_path / "b.json").annToMask(back["annotations"][0]).sum() == back["annotations"][0]["area"]


def test_f11_iscrowd_and_area_of_the_mask_are_always_written(photos, tmp_path):
    plain = {"id": 1, "image_id": 397133, "category_id": 1, "bbox": [0, 0, 10, 10]}
    polygon = {"id": 2, "image_id": 397133, "category_id": 1, "segmentation": [SQUARE]}
    lh.opinions(photos, source(coco(tmp_path / "a.json", plain, polygon)))
    found = {json.dumps(each["segmentation"]): each for each in exported(photos, tmp_path / "b.json")["annotations"]}
    assert [(found[key]["iscrowd"], found[key]["area"]) for key in ("[]", f"[{SQUARE}]")] == [(0, 100), (0, 16)]
    assert found[f"[{SQUARE}]"]["bbox"] == [1, 1, 4, 4]


def test_f12_visibility_of_keypoints_is_kept(photos, tmp_path):
    person = {"id": 1, "name": "person", "keypoints": ["nose", "left_eye", "right_eye"], "skeleton": [[1, 2], [1, 3]]}
    points = [10, 20, 2, 30, 40, 1, 99, 99, 0]
    file = coco(tmp_path / "a.json", annotation(keypoints=points, num_keypoints=2, segmentation=[SQUARE]),
                categories=[person])  # fmt: skip
    receipt = lh.opinions(photos, source(file))
    assert {note.rule for note in receipt.notes} == {"segmentation_not_read"}
    question = fetch(photos, "select geometry_kinds, constraints_json from silver.questions")[0]
    assert question["geometry_kinds"] == ["keypoints"]
    assert json.loads(question["constraints_json"]) == {
        "keypoints": ["nose", "left_eye", "right_eye"], "skeleton": [[0, 1], [0, 2]],
    }  # fmt: skip
    (region,) = said(photos)[0]
    # v = 0 means that it was not labelled: it lies nowhere, whatever the file says.
    assert [tuple(point.values()) for point in region.points] == [(10, 20, 2), (30, 40, 1), (0, 0, 0)]
    back = exported(photos, tmp_path / "b.json")
    assert back["annotations"][0]["keypoints"] == [10, 20, 2, 30, 40, 1, 0, 0, 0]
    assert back["annotations"][0]["num_keypoints"] == 2
    assert back["categories"] == [{"supercategory": "", **person}]


def test_f13_ids_of_panoptic_segments_are_above_65535(photos, tmp_path):
    assert ids_of(np.array([[[3, 2, 1]]], np.uint8)).tolist() == [[3 + 2 * 256 + 65536]]
    assert pixels_of(np.array([[66051]])).tolist() == [[[3, 2, 1]]]
    folder = tmp_path / "panoptic"
    folder.mkdir()
    ids = np.zeros((480, 640), np.int64)
    ids[:100, :50], ids[100:, 50:] = 66051, 7
    Image.fromarray(pixels_of(ids), "RGB").save(folder / "1.png")
    told = {"image_id": 397133, "file_name": "1.png", "segments_info": [
        {"id": 66051, "category_id": 90, "iscrowd": 0}, {"id": 7, "category_id": 1, "iscrowd": 1},
    ]}  # fmt: skip
    file = coco(tmp_path / "panoptic.json", told, images=PICTURES[:1])
    assert lh.opinions(photos, source(file)).counts == counts(read=1, new=1)
    regions = {region.label: region for region in said(photos)[0]}
    assert {label: (each.area, each.iscrowd) for label, each in regions.items()} == {
        "toothbrush": (5000, None), "person": (380 * 590, True),
    }  # fmt: skip
    lh.export_opinions(photos, format="coco", path=tmp_path / "out", question="things", options={"task": "panoptic"})
    back = answers("coco", tmp_path / "out" / "panoptic.json", png_folder=str(tmp_path / "out" / "panoptic"))
    assert {each.label: each.mask_counts for each in back[0].value} == {
        label: each.mask_counts for label, each in regions.items()
    }


def test_f14_results_need_their_ground_truth_and_ids_that_match(photos, tmp_path):
    truth = coco(tmp_path / "truth.json", annotation())
    results = tmp_path / "results.json"
    found = [{"image_id": 37777, "category_id": 1, "bbox": [1.5, 2, 3, 4], "score": 0.75},
             {"image_id": 37777, "category_id": 90, "bbox": [9, 9, 3, 4], "score": 0.5}]
    results.write_text(json.dumps(found))
    with pytest.raises(IngestError, match="is a list of results, which names no pictures; give the file that does"):
        lh.opinions(photos, source(results))
    model = source(results, actor="model:net@1", options={"ground_truth": str(truth)})
    receipt = lh.opinions(photos, model)
    assert receipt.counts == counts(read=1, new=1)
    assert "2 pictures of the ground truth are in no result" in str(receipt.notes)
    assert [(each.label, each.x, each.score) for each in said(photos)[0]] == [
        ("person", 1.5, 0.75), ("toothbrush", 9, 0.5),
    ]  # fmt: skip
    lh.export_opinions(photos, format="coco", path=tmp_path / "back.json", question="things",
                       options={"task": "results", "ground_truth": str(truth)})  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        again = opened(truth).loadRes(str(tmp_path / "back.json"))
    assert [(each["image_id"], each["bbox"], each["score"]) for each in again.anns.values()] == [
        (each["image_id"], each["bbox"], each["score"]) for each in found
    ]
    results.write_text(json.dumps([*found, {**found[0], "image_id": 12}]))
    with pytest.raises(IngestError, match="1 of its image_ids are not in .*truth.json, such as 12"):
        lh.opinions(photos, model)


def test_captions_are_texts_beside_one_another(photos, tmp_path):
    file = coco(tmp_path / "a.json", {"id": 1, "image_id": 397133, "caption": "a cat"},
                {"id": 2, "image_id": 397133, "caption": "one more cat"}, categories=[])  # fmt: skip
    assert lh.opinions(photos, source(file, options={"task": "captions"})).counts == counts(read=2, new=2)
    assert said(photos) == ["a cat", "one more cat"]
    assert [each["caption"] for each in exported(photos, tmp_path / "b.json")["annotations"]] == said(photos)


@pytest.mark.parametrize(("fields", "rule"), [
    ({"category_id": 2}, "unknown_category"),
    ({"image_id": 12}, "unknown_image"),
    ({"image_id": "1"}, "bad_id"),
    ({"bbox": [1, 2, 3]}, "not_a_number"),
    ({"bbox": [1, 2, 3, "4"]}, "not_a_number"),
    ({"bbox": None}, "no_box"),
    ({"segmentation": [[1, 2, 3]]}, "bad_polygon"),
    ({"segmentation": {"size": [2, 2], "counts": [1, 2]}}, "bad_mask"),
    ({"segmentation": {"size": [2, 2], "counts": "0é"}}, "bad_mask"),
    ({"keypoints": [1, 2, 3]}, "bad_keypoints"),
    ({"bbox": [1, 2, -3, 4]}, None),
    ({"bbox": [10**400, 0, 1, 1]}, "not_finite"),
    ({"segmentation": [[1, 2, 3, 4, 5, 10**400]]}, "not_finite"),
    ({"segmentation": [[1, 2, 3, 4, 5, math.inf]]}, "not_finite"),
    ({"keypoints": [10**400, 2, 2]}, "not_finite"),
    ({"segmentation": [[0, 0, 1e300, 0, 1e300, 1e300, 0, 1e18]]}, None),
])  # fmt: skip
def test_what_is_no_annotation_is_rejected_by_rule(tmp_path, fields, rule):
    file = coco(tmp_path / "a.json", annotation(**fields))
    # What json writes of inf is no number in JSON; what a file has is one beyond all floats.
    file.write_text(file.read_text().replace("Infinity", "1e999"))
    assert [each for _, each in rules("coco", file)] == ([rule] if rule else [])


@pytest.mark.parametrize(("size", "rule"), [
    ('"width": 1e999, "height": 3', "bad_size"),
    ('"width": 2147483647, "height": 2147483647', "bad_size"),
    ('"width": 9, "height": 9', None),
])  # fmt: skip
def test_a_picture_of_impossible_size_is_rejected_alone(tmp_path, size, rule):
    image = f'{{"id": 397133, "file_name": "cat/1.jpg", {size}}}'
    file = coco(tmp_path / "a.json", annotation(segmentation=[SQUARE]))
    file.write_text(file.read_text().replace(json.dumps(PICTURES[0]), image))
    assert [each for _, each in rules("coco", file)] == ([rule] if rule else [])


def test_a_picture_that_is_listed_twice_is_said_once(photos, tmp_path):
    first, other = PICTURES[0], {**PICTURES[0], "id": 5}
    file = coco(tmp_path / "a.json", annotation(), annotation(2), images=[first, first])
    receipt = lh.opinions(photos, source(file))
    assert (receipt.counts, len(said(photos)[0])) == (counts(read=1, new=1), 2)
    assert {note.rule: note.count for note in receipt.notes}["listed_again"] == 1
    changed = coco(tmp_path / "b.json", annotation(), images=[first, {**first, "file_name": "dog/3.jpg"}])
    assert [each for _, each in rules("coco", changed)] == ["duplicate_image"]
    renumbered = coco(tmp_path / "c.json", annotation(), annotation(2, picture=5), images=[first, other])
    assert [each for _, each in rules("coco", renumbered)] == ["duplicate_image"]


@pytest.mark.parametrize(("text", "message"), [
    ("{", "is not JSON"),
    ('{"a": 1}', "has neither `images` nor `annotations`"),
    ('{"images": 1, "annotations": []}', "`images` must be a list of objects"),
    ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}', "twice"),
    ('{"images": [], "images": []}', "twice"),
    ('{"annotations": [{"bbox": [NaN]}]}', "has NaN"),
])  # fmt: skip
def test_a_file_that_is_no_coco_is_told(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(IngestError, match=message):
        items("coco", tmp_path / "a.json")


def test_keys_that_are_not_read_are_noted_once(tmp_path):
    found = items("coco", coco(tmp_path / "a.json", annotation(track=3), annotation(2, colour="red")))
    notes = [each.text for each in found if isinstance(each, Note)]
    assert notes == ["keys of annotations that are not read: colour, track"]


@pytest.mark.parametrize("pieces", [2, 3, 7])
def test_a_file_that_several_tasks_read_says_what_one_task_would_read(tmp_path, pieces):
    more = [{"id": number, "file_name": f"{number}.jpg", "width": 9, "height": 9} for number in range(1, 4)]
    images = [*PICTURES, more[0], PICTURES[1], {**more[1], "file_name": "cat/1.jpg"}, {**more[2], "id": 252219}, {}]
    file = coco(
        tmp_path / "a.json", annotation(track=3), annotation(2, 37777, keypoints=[1, 1, 2], segmentation=[SQUARE]),
        annotation(3, 1, category=7), annotation(4, 99), {"id": 5}, annotation(6, 252219, colour="red"), images=images,
    )  # fmt: skip
    options = CocoOptions(question="things", actor="human:ada", task="keypoints")
    told = [each for number in range(pieces) for each in read_coco_piece(file, "", options, Piece(number, pieces))]
    assert told == list(read_coco(file, "", options))
    assert [each.rule for each in told if isinstance(each, Reject | Note)] == [
        "bad_id", "unknown_category", "duplicate_image", "duplicate_image", "bad_id", "unknown_image", "listed_again",
        "segmentation_not_read", "keys_not_read",
    ]  # fmt: skip


def test_pieces_of_a_file_are_in_the_order_of_the_file(tmp_path):
    file = coco(tmp_path / "a.json", annotation(segmentation=[SQUARE, SQUARE]), annotation(2, 37777))
    options = {"question": "things", "actor": "human:ada"}
    plan = ReadPlan(rules={}, now=datetime(2024, 5, 1, tzinfo=UTC), format="coco", path=str(file), options=options)

    def read(pieces: int) -> pa.Table:
        parts = [{"part": 0, "file": "", "piece": number, "pieces": pieces} for number in range(pieces)]
        batch = pa.RecordBatch.from_pylist(parts, schema=PARTS)
        return pa.Table.from_batches(read_parts(iter([batch]), plan=plan), schema=ITEMS)

    whole, apart = read(1), read(2)
    lines = apart["line"].to_pylist()
    assert lines == sorted(set(lines))
    assert apart.drop_columns("line").to_pylist() == whole.drop_columns("line").to_pylist()


def test_what_came_from_coco_goes_back_to_voc_and_says_what_is_lost(photos, tmp_path):
    lh.opinions(photos, source(coco(tmp_path / "a.json", annotation(segmentation=[SQUARE]), annotation(2, 37777))))
    receipt = lh.export_opinions(photos, format="voc", path=tmp_path / "voc", question="things")
    assert {note.rule: note.count for note in receipt.notes} == {
        "lost_polygon": 1, "lost_area": 1, "lost_whole_answer": 1,
    }


def test_supercategories_and_things_come_in_and_go_out_again(photos, tmp_path):
    stated = [
        {"id": 1, "name": "animal", "supercategory": "animal"}, {"id": 17, "name": "cat", "supercategory": "animal"},
        {"id": 95, "name": "sky", "supercategory": "outdoor", "isthing": 0}, {"id": 7, "name": "plain"},
    ]  # fmt: skip
    lh.opinions(photos, source(coco(tmp_path / "a.json", annotation(category=17), categories=stated)))
    rows = fetch(photos, "select label_id, parent_id from silver.label_sets order by ordinal")
    assert [tuple(row.values()) for row in rows] == [
        ("animal", "animal"), ("cat", "animal"), ("sky", "outdoor"), ("plain", None),
    ]  # fmt: skip
    back = exported(photos, tmp_path / "b.json")["categories"]
    assert [(each["name"], each["supercategory"], each.get("isthing")) for each in back] == [
        ("animal", "animal", None), ("plain", "", None), ("cat", "animal", None), ("sky", "outdoor", 0),
    ]  # fmt: skip
    # What was put above a label here is its supercategory too, and stays where another file says otherwise.
    set_parent(photos, "things", "plain", "cat")
    again = exported(photos, tmp_path / "c.json")["categories"]
    assert [each["supercategory"] for each in again if each["name"] == "plain"] == ["cat"]
    other = coco(tmp_path / "d.json", categories=[{"id": 7, "name": "plain", "supercategory": "odd"}])
    notes = lh.opinions(photos, source(other, actor="human:bob")).notes
    assert [note.example for note in notes if note.rule == "parent_differs"] == [
        "plain is below 'odd' in the files and 'cat' in the lake, where it stays"
    ]


def test_files_that_say_otherwise_of_a_category_are_imported_apart(photos, tmp_path):
    (tmp_path / "in").mkdir()
    for name, above in (("a", "animal"), ("b", "pet")):
        coco(tmp_path / f"in/{name}.json", categories=[{"id": 1, "name": "cat", "supercategory": above}])
    with pytest.raises(IngestError, match="category cat has supercategory 'pet', in another file of this import 'ani"):
        lh.opinions(photos, source(tmp_path / "in"))
    odd = coco(tmp_path / "c.json", categories=[{"id": 1, "name": "cat", "isthing": "yes"}])
    with pytest.raises(IngestError, match="category 1 has isthing 'yes', expected 0 or 1"):
        lh.opinions(photos, source(odd))


def test_equal_scores_go_out_by_picture_and_then_as_they_were_said(tmp_path):
    def found(name, *lefts):
        boxes = [Region("box", label="cell", x=left, y=0.0, w=1.0, h=1.0, score=0.5) for left in lefts]
        return as_said(*boxes, name=name)

    truth = {"images": [{"id": 9, "file_name": "a.jpg"}, {"id": 4, "file_name": "b.jpg"}], "annotations": [],
             "categories": [{"id": 1, "name": "cell"}]}  # fmt: skip
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    ontology = Ontology(labels=("cell",), numbers={"cell": 0})
    write("coco", tmp_path / "out.json", found("a.jpg", 7.0, 3.0), found("b.jpg", 5.0), ontology=ontology,
          task="results", ground_truth=str(tmp_path / "truth.json"))  # fmt: skip
    written = json.loads((tmp_path / "out.json").read_text())
    assert [(each["image_id"], each["bbox"][0]) for each in written] == [(9, 7), (9, 3), (4, 5)]
