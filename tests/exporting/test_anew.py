"""Exports of datasets whose recipe says what is stored: sizes, media types and places are those of what is written."""

from __future__ import annotations

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

import lakehouse as lh
from lakehouse.cards.facts import card_of
from lakehouse.cards.outline import outline
from lakehouse.datasets.preview import plan_dataset
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import RecipeError
from lakehouse.materialise import encoding
from lakehouse.opinions.questions import Question
from tests.datasets.pictures import say
from tests.exporting.objects import HEIGHT, PIXELS, SAID, WIDTH, make_objects, read_yolo
from tests.making import small_lake

TWICE = {"size": [2 * HEIGHT, 3 * WIDTH], "codec": "png", "interpolation": "nearest"}


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    folder = tmp_path_factory.mktemp("objects")
    with small_lake(folder / "lake") as lake:
        ids = make_objects(lake, folder)
        lh.dimensions(lake)
        yield lake, ids


def build(lake, question, name, **sections):
    record = {"name": name, "question": question, "label": {"policy": "single"}, "split": {"ratios": {"train": 1.0}}}
    return lh.build(lake, parse_recipe(record | sections, where="test")).details["dataset_id"]


def coco_of(folder, capsys):
    found = COCO(str(folder / "annotations" / "instances_train.json"))
    capsys.readouterr()
    return found


def test_coco_has_pictures_of_the_stated_size_and_boxes_in_their_pixels(objects, tmp_path, capsys):
    lake, ids = objects
    version = build(lake, "boxes", "sized", image=TWICE)
    receipt = lake.export(version, format="coco", to=tmp_path / "out")
    coco = coco_of(tmp_path / "out", capsys)
    for image in coco.dataset["images"]:
        with Image.open(tmp_path / "out" / "train" / image["file_name"]) as picture:
            assert (image["width"], image["height"]) == picture.size == (3 * WIDTH, 2 * HEIGHT)
            assert picture.format == "PNG"
    [image] = [each for each in coco.dataset["images"] if each["entity_id"] == ids["a"]]
    wanted = [[3 * each["x"], 2 * each["y"], 3 * each["w"], 2 * each["h"]] for each in SAID["boxes"]["a"]]
    assert [each["bbox"] for each in coco.loadAnns(coco.getAnnIds([image["id"]]))] == wanted
    assert not [note for note in receipt.notes if note.rule == "as_landed"]
    # Without the section it is another export, and the same one again writes nothing.
    plain = lake.export("boxes", format="coco", to=tmp_path / "plain")
    assert plain.details["export_id"] != receipt.details["export_id"]
    assert lake.export(version, format="coco", to=tmp_path / "out").bytes_written == 0


def test_yolo_and_coco_have_variants_beside_their_pictures_with_boxes_in_their_pixels(objects, tmp_path, capsys):
    lake, _ = objects
    version = build(lake, "boxes", "turned", variants={"copies": 1, "turns": [90]}, image={"codec": "jpeg"})
    lake.export(version, format="coco", to=tmp_path / "coco")
    receipt = lake.export(version, format="yolo", to=tmp_path / "yolo")
    assert receipt.counts["exported"] == 8
    coco, found = coco_of(tmp_path / "coco", capsys), read_yolo(tmp_path / "yolo")["train"]
    assert {(each["width"], each["height"]) for each in coco.dataset["images"]} == {(WIDTH, HEIGHT), (HEIGHT, WIDTH)}
    [turned] = [each for each in coco.dataset["images"] if each["height"] == WIDTH and coco.getAnnIds([each["id"]])
                and len(coco.getAnnIds([each["id"]])) == 2]  # fmt: skip
    box = SAID["boxes"]["a"][0]
    wanted = [HEIGHT - box["y"] - box["h"], box["x"], box["h"], box["w"]]
    assert coco.loadAnns(coco.getAnnIds([turned["id"]]))[0]["bbox"] == wanted
    _, x, y, w, h = found[turned["entity_id"]][0]
    assert np.allclose([x * HEIGHT - w * HEIGHT / 2, y * WIDTH - h * WIDTH / 2, w * HEIGHT, h * WIDTH], wanted)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools, of its masks
def test_masks_and_tables_are_of_the_stored_pictures_and_what_is_cut_off_is_counted(objects, tmp_path, capsys):
    lake, ids = objects
    lake.export(build(lake, "masks", "masks2", image=TWICE), format="coco", to=tmp_path / "masks")
    coco = coco_of(tmp_path / "masks", capsys)
    [annotation] = coco.dataset["annotations"]
    assert np.array_equal(coco.annToMask(annotation), np.kron(PIXELS, np.ones((2, 3))))
    cut = build(lake, "boxes", "cut", image={"size": [HEIGHT, HEIGHT], "fit": "cover", "codec": "webp"})
    receipt = lake.export(cut, format="webdataset", to=tmp_path / "cut")
    assert {note.rule: note.count for note in receipt.notes} == {"objects_left": 2}
    with tarfile.open(next((tmp_path / "cut").glob("*.tar"))) as tar:
        told = json.load(tar.extractfile(f"{ids['b']}.json"))
        picture = Image.open(io.BytesIO(tar.extractfile(f"{ids['b']}.webp").read()))
    assert (told["media_type"], told["answer"], picture.size) == ("image/webp", [], (HEIGHT, HEIGHT))


def test_a_card_shows_pictures_as_they_are_stored_with_their_boxes(objects):
    lake, ids = objects
    version = build(lake, "boxes", "shown", image=TWICE, variants={"copies": 1, "turns": [180]})
    card = card_of(lake, version)
    found = {sample.entity_id: sample for sample in card.samples}
    assert {sample.size_px for sample in card.samples} == {(3 * WIDTH, 2 * HEIGHT)}
    assert {sample.media_type for sample in card.samples} == {"image/png"}
    box = SAID["boxes"]["a"][0]
    assert (found[ids["a"]].boxes[0].x, found[ids["a"]].boxes[0].h) == (3 * box["x"], 2 * box["h"])
    told = dict(outline(card))["What is in it"][0].rows
    assert ("variants among the members", 4) in told
    assert ("stored as", "20 x 60 px (stretch), upright, as png") in told


def test_a_manifest_names_the_landed_files_and_says_so(objects, tmp_path):
    lake, ids = objects
    version = build(lake, "boxes", "listed", image=TWICE, variants={"copies": 1, "turns": [180]})
    receipt = lake.export(version, format="manifest", to=tmp_path / "out")
    assert [note.rule for note in receipt.notes] == ["as_landed"]
    lines = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert {line["sha256"] for line in lines} == set(ids.values())
    assert {line.get("operation") for line in lines} == {None, "variant"}
    assert {line["parameters"]["turn"] for line in lines if "operation" in line} == {180}


def test_an_encoder_of_another_version_is_refused_before_anything_is_written(objects, tmp_path, monkeypatch):
    lake, _ = objects
    version = build(lake, "boxes", "sized", image=TWICE)
    monkeypatch.setattr(encoding, "picture_encoder", lambda form: "Pillow 99")
    with pytest.raises(RecipeError, match="here is Pillow 99"):
        lake.export(version, format="coco", to=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_poses_of_which_nobody_knows_a_keypoint_have_no_shape_and_a_note(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        (tmp_path / "drop").mkdir()
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "drop" / "a.png")
        lh.land(lake, lh.Source(name="drop", folder=str(tmp_path / "drop")))
        lh.entities(lake)
        asked = Question(question_id="poses", answer_kind="regions", geometry_kinds=("keypoints",), labels=("person",))
        say(lake, asked, "human:ann", {"a": {"regions": []}})
        receipt = lake.export(build(lake, "poses", "poses"), format="yolo", to=tmp_path / "out")
    assert "kpt_shape" not in (tmp_path / "out" / "data.yaml").read_text()
    assert "no_keypoints" in [note.rule for note in receipt.notes]


def test_a_plan_estimates_what_is_stored_and_says_of_whom_nobody_can(objects):
    lake, _ = objects

    def planned(copies=0, **image):
        variants = {"copies": copies, "turns": [90]} if copies else {}
        record = {"name": "planned", "question": "boxes", "label": {"policy": "single"}, "image": image,
                  "variants": variants,
                  "split": {"ratios": {"train": 1.0}}}  # fmt: skip
        return plan_dataset(lake, parse_recipe(record, where="test"))

    # PNG: about 2 bytes a pixel, JPEG 0.35, 256 at least (`estimated_bytes`).
    assert planned(**TWICE).splits[0]["stored_bytes"] == 4 * 2 * (3 * WIDTH) * (2 * HEIGHT)
    assert planned(1, **TWICE).splits[0]["stored_bytes"] == 8 * 2 * (3 * WIDTH) * (2 * HEIGHT)
    assert planned(max_side=10, codec="png").splits[0]["stored_bytes"] == 4 * 256
    assert planned(size=[100, 100], codec="jpeg").splits[0]["stored_bytes"] == 4 * 3_500
    plain = planned()
    assert "stored_bytes" not in plain.splits[0]
    assert planned(codec="webp").splits[0]["stored_bytes"] == plain.splits[0]["bytes"]
