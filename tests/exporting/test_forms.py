"""COCO, YOLO, CSV, Hugging Face and MDS: read back by readers of their own, whole, counted, and resumed."""

from __future__ import annotations

import csv
import json

import pyarrow.parquet as pq
import pytest
from pycocotools.coco import COCO

from lakehouse import target
from lakehouse.errors import ConfigError
from lakehouse.exporting.csv import check_csv, lost_in_csv
from lakehouse.exporting.cutting import cut
from lakehouse.exporting.hf import check_hf
from lakehouse.exporting.mds import check_mds
from lakehouse.exporting.rows import Row, Selection
from tests.exporting.conftest import LABELS, SQL
from tests.exporting.objects import HEIGHT, PIXELS, SAID, WIDTH, make_objects, read_mds, read_yolo, splits_of
from tests.exporting.test_export import files_of
from tests.exporting.test_target import in_storage
from tests.ingestion.files import png
from tests.making import small_lake

FORMS = ("coco", "yolo", "csv", "hf", "mds")


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """A lake of objects in pictures, and name of a picture -> entity; exports leave it as it is."""
    folder = tmp_path_factory.mktemp("objects")
    with small_lake(folder / "lake") as lake:
        yield lake, make_objects(lake, folder)


def coco_of(folder, capsys):
    found = {}
    for path in sorted((folder / "annotations").iterdir()):
        found[path.stem.removeprefix("instances_")] = COCO(str(path))
    capsys.readouterr()
    return found


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools, of its masks
@pytest.mark.parametrize("question", SAID)
def test_coco_has_every_picture_and_object_by_split(objects, tmp_path, capsys, question):
    lake, ids = objects
    receipt = lake.export(question, format="coco", to=tmp_path / "out")
    splits = splits_of(lake, question)
    assert receipt.counts == {"selected": len(splits), "exported": len(splits)}
    seen = {}
    for split, coco in coco_of(tmp_path / "out", capsys).items():
        for image in coco.dataset["images"]:
            data = (tmp_path / "out" / split / image["file_name"]).read_bytes()
            assert data == lake.read_object(image["entity_id"])
            assert (image["width"], image["height"], splits[image["entity_id"]]) == (WIDTH, HEIGHT, split)
            assert image["fields"] == {"file_bytes": len(data)}
            seen[image["entity_id"]] = coco.loadAnns(coco.getAnnIds([image["id"]])), coco
    assert set(seen) == set(splits)
    names = {name: entity for name, entity in ids.items() if entity in seen}
    for name, entity in names.items():
        annotations, coco = seen[entity]
        assert [coco.cats[each["category_id"]]["name"] for each in annotations] == [
            each["label"] for each in SAID[question][name]
        ]
    annotations, coco = seen[ids["a"]]
    if question == "boxes":
        assert annotations[0]["bbox"] == [1, 2, 4, 5]
        assert [each["category_id"] for each in annotations] == [18, 17]  # the label set has 17 for white
        assert (annotations[0]["score"], annotations[1]["iscrowd"]) == (0.5, 1)
        assert seen[ids["b"]][0][0]["attributes"] == {"difficult": "1"}
    elif question == "masks":
        assert (coco.annToMask(annotations[0]) == PIXELS).all()
        assert annotations[0]["area"] == PIXELS.sum()
    elif question == "polygons":
        assert [len(part) for part in annotations[0]["segmentation"]] == [8, 6]
        assert [each["category_id"] for each in annotations] == [1, 2]
    else:
        assert annotations[0]["keypoints"] == [5, 6, 2, 0, 0, 0]
        assert coco.dataset["categories"][0]["keypoints"] == ["left_eye", "right_eye"]


def test_ids_of_coco_are_of_one_picture_and_one_object_in_all_splits(objects, tmp_path, capsys):
    lake, _ = objects
    lake.export("boxes", format="coco", to=tmp_path / "out")
    found = coco_of(tmp_path / "out", capsys).values()
    for kind, count in (("images", 4), ("annotations", 3)):
        assert sorted(each["id"] for coco in found for each in coco.dataset[kind]) == [*range(1, count + 1)]


def test_yolo_has_shares_of_the_picture_and_an_empty_file_where_nothing_is(objects, tmp_path):
    lake, ids = objects
    receipt = lake.export("boxes", format="yolo", to=tmp_path / "out")
    found = read_yolo(tmp_path / "out")
    assert {entity: split for split, rows in found.items() for entity in rows} == splits_of(lake, "boxes")
    rows = {entity: lines for part in found.values() for entity, lines in part.items()}
    assert rows[ids["a"]] == [pytest.approx([0, 3 / 20, 4.5 / 10, 4 / 20, 5 / 10]), [1, 0.5, 0.5, 1, 1]]
    assert rows[ids["c"]] == []
    said = (tmp_path / "out" / "data.yaml").read_text()
    assert 'nc: 2\nnames:\n  0: "red"\n  1: "white"\n' in said
    assert ('"train": "images/train"' in said, "path:" in said) == (True, False)
    assert receipt.details["task"] == "detect"
    assert {note.rule: note.count for note in receipt.notes} == {
        "lost_score": 1, "lost_iscrowd": 1, "lost_attrs": 1, "lost_fields": 4, "outside_picture": 1,
        **({} if set(found) == {"train", "val"} else {"no_split": 1}),
    }  # fmt: skip


def test_yolo_has_outlines_and_poses_by_the_kind_of_the_answers(objects, tmp_path):
    lake, ids = objects
    outlines = lake.export("polygons", format="yolo", to=tmp_path / "outlines")
    poses = lake.export("keypoints", format="yolo", to=tmp_path / "poses")
    assert (outlines.details["task"], poses.details["task"]) == ("segment", "pose")
    lines = {entity: lines for part in read_yolo(tmp_path / "outlines").values() for entity, lines in part.items()}
    assert [line[0] for line in lines[ids["a"]]] == [0, 0, 1]  # an outline of two parts is two lines
    assert lines[ids["a"]][0][1:] == pytest.approx([0.05, 0.1, 0.25, 0.1, 0.25, 0.5, 0.05, 0.5])
    lines = {entity: lines for part in read_yolo(tmp_path / "poses").values() for entity, lines in part.items()}
    assert lines[ids["a"]] == [pytest.approx([0, 0.25, 0.6, 0, 0, 0.25, 0.6, 2, 0, 0, 0])]
    said = (tmp_path / "poses" / "data.yaml").read_text()
    assert "kpt_shape: [2, 3]\nflip_idx: [1, 0]\n" in said


@pytest.mark.parametrize(("format", "selection"), [("coco", "animals"), ("yolo", "animals"), ("coco", SQL)])
def test_labels_of_whole_entities_are_no_objects(pictures, tmp_path, format, selection):
    with pytest.raises(ConfigError, match="has labels of whole entities; export imagefolder, csv or hf"):
        pictures.export(selection, format=format, to=tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


def test_yolo_holds_no_masks_and_says_what_does(objects, tmp_path):
    with pytest.raises(ConfigError, match="has answers of kind masks; export imagefolder, csv or hf or coco"):
        objects[0].export("masks", format="yolo", to=tmp_path / "out")


def test_a_table_names_every_file_with_its_label(pictures, ids, tmp_path):
    receipt = pictures.export("animals", format="csv", to=tmp_path / "out")
    rows = {}
    for path in (tmp_path / "out").glob("*/metadata.csv"):
        for row in csv.DictReader(path.read_text().splitlines()):
            rows[row["entity_id"]] = row | {"split": path.parent.name}
            assert (path.parent / row["file_name"]).read_bytes() == pictures.read_object(row["entity_id"])
    assert rows == {
        ids[number]: {
            "file_name": f"{ids[number]}.png", "entity_id": ids[number], "label": label, "width": "4",
            "label_index": str(["cat", "dog"].index(label)), "split": splits_of(pictures, "animals")[ids[number]],
        } for number, label in LABELS.items()
    }  # fmt: skip
    assert receipt.counts["exported"] == 6
    assert "  - split: train\n    path: \"train/**\"\n" in (tmp_path / "out" / "README.md").read_text()


def test_nested_answers_are_lines_of_json(objects, tmp_path):
    lake, ids = objects
    lake.export("boxes", format="csv", to=tmp_path / "out")
    rows = [json.loads(line) for path in (tmp_path / "out").glob("*/metadata.jsonl")
            for line in path.read_text().splitlines()]  # fmt: skip
    found = {row["entity_id"]: row["objects"] for row in rows}
    assert found[ids["a"]] == {
        "bbox": [[1.0, 2.0, 4.0, 5.0], [0.0, 0.0, 20.0, 10.0]], "category": [0, 1], "label": ["red", "white"],
        "iscrowd": [None, True], "score": [0.5, None],
    }  # fmt: skip
    assert found[ids["c"]]["bbox"] == []


def test_texts_that_a_reader_of_csv_takes_for_something_else_are_noted():
    selection = Selection({}, None, 1, roles=("label",), fields={"note": "string", "place": "string"})
    row = Row("e", None, "image/png", 1, "007", None, {"note": "", "place": "NA"}, None)
    assert [rule for rule, _ in lost_in_csv(selection, row)] == ["read_as_other", "empty_text", "read_as_other"]
    assert not list(lost_in_csv(selection, Row("e", None, "", 1, "cat", None, {"note": "a", "place": None}, None)))


def test_hugging_face_finds_features_shards_and_splits(pictures, ids, tmp_path):
    pictures.export("animals", format="hf", to=tmp_path / "out", shard_bytes=2 * len(png(1)))
    rows = {}
    for split in ("train", "test"):
        paths = sorted((tmp_path / "out" / "data").glob(f"{split}-*"))
        names = [f"{split}-{n:05}-of-{len(paths):05}.parquet" for n in range(len(paths))]
        assert [path.name for path in paths] == names
        for path in paths:
            said = json.loads(pq.read_schema(path).metadata[b"huggingface"])["info"]["features"]
            assert said == {
                "image": {"_type": "Image"}, "entity_id": {"dtype": "string", "_type": "Value"},
                "label": {"names": ["cat", "dog"], "_type": "ClassLabel"},
                "width": {"dtype": "int64", "_type": "Value"},
            }  # fmt: skip
            rows |= {row["entity_id"]: row for row in pq.read_table(path).to_pylist()}
    assert {entity: (row["image"], row["label"]) for entity, row in rows.items()} == {
        ids[n]: ({"bytes": png(n), "path": f"{ids[n]}.png"}, ["cat", "dog"].index(label)) for n, label in LABELS.items()
    }
    assert 'path: "data/train-?????-of-?????.parquet"' in (tmp_path / "out" / "README.md").read_text()


def test_hugging_face_gets_objects_as_lists_of_one_length(objects, tmp_path):
    lake, ids = objects
    lake.export("masks", format="hf", to=tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "data")
    rows = {row["entity_id"]: row["objects"] for row in table.to_pylist()}
    assert rows[ids["a"]]["bbox"] == [[3, 2, 6, 3]]
    assert (rows[ids["a"]]["size"], rows[ids["b"]]["size"]) == ([[HEIGHT, WIDTH]], [])
    said = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["objects"]
    assert said["category"] == {"feature": {"names": ["red"], "_type": "ClassLabel"}, "_type": "Sequence"}


def test_mosaic_gets_shards_whose_values_are_found_by_their_sizes(pictures, ids, tmp_path):
    pictures.export(SQL, format="mds", to=tmp_path / "out", shard_bytes=3 * len(png(1)))
    assert sorted(path.name for path in (tmp_path / "out").glob("shard*")) == [f"shard.0000{n}.mds" for n in range(3)]
    rows = {row["entity_id"]: row for row in read_mds(tmp_path / "out")}
    assert rows == {
        ids[n]: {"entity_id": ids[n], "image": png(n), "media_type": "image/png", "label": LABELS.get(n), "width": 4,
                 "name": f"{n}.png"} for n in ids
    }  # fmt: skip
    [shard, *_] = json.loads((tmp_path / "out" / "index.json").read_text())["shards"]
    assert dict(zip(shard["column_names"], shard["column_encodings"], strict=True)) == {
        "entity_id": "str", "image": "png", "label": "json", "media_type": "str", "name": "str", "width": "int",
    }  # fmt: skip


def test_mosaic_gets_splits_and_objects(objects, tmp_path):
    lake, ids = objects
    lake.export("boxes", format="mds", to=tmp_path / "out")
    found = {
        row["entity_id"]: (path.parent.name, row) for path in (tmp_path / "out").glob("*/index.json")
        for row in read_mds(path.parent)
    }  # fmt: skip
    assert {entity: split for entity, (split, _) in found.items()} == splits_of(lake, "boxes")
    assert found[ids["a"]][1]["objects"]["category"] == [0, 1]
    assert found[ids["d"]][1]["image"] == lake.read_object(ids["d"])  # of jpeg and png together: bytes


@pytest.mark.parametrize("format", FORMS)
def test_an_export_that_was_stopped_anywhere_goes_on_and_ends_alike_in_a_folder_and_a_bucket(
    objects, tmp_path, monkeypatch, format
):
    lake, _ = objects
    first = lake.export("polygons", format=format, to=tmp_path / "whole", shard_bytes=1)
    again = lake.export("polygons", format=format, to=tmp_path / "whole", shard_bytes=1)
    assert (again.bytes_written, again.counts) == (0, first.counts)
    url = f"memory://{tmp_path.name}/out"
    count, stopped = target.Target.count, 0
    while True:
        left = [stopped]

        def stop(self, sizes, left=left):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            count(self, sizes)

        monkeypatch.setattr(target.Target, "count", stop)
        try:
            for to in (tmp_path / "out", url):
                lake.export("polygons", format=format, to=to, shard_bytes=1)
            break
        except KeyboardInterrupt:
            stopped += 1
            assert not (tmp_path / "out").exists() or "_export.json" not in in_storage(url)
    assert stopped >= 1
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole") == in_storage(url)


def test_shards_are_of_one_split_and_bounded():
    rows = [Row(f"{n}", None, "", size, None, split, {}, None)
            for n, (size, split) in enumerate([(4, "a"), (4, "a"), (9, "a"), (1, "b"), (1, None)])]  # fmt: skip
    assert [(split, number, [row.entity_id for row in shard]) for split, number, shard in cut(rows, 8)] == [
        ("a", 0, ["0", "1"]), ("a", 1, ["2"]), ("b", 0, ["3"]), (None, 0, ["4"]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "name"), [(check_csv, "file_name"), (check_hf, "image"), (check_mds, "content"), (check_csv, "objects")]
)
def test_fields_called_as_the_formats_own_are_refused(check, name):
    with pytest.raises(ConfigError, match=f"field `{name}` has a name that this format needs"):
        check(Selection({}, None, 1, fields={name: "string"}, kind="boxes"))
    check(Selection({}, None, 1, fields={f"{name}_": "string"}, kind="boxes"))


def test_a_shard_of_mosaic_has_places_of_32_bits(pictures, tmp_path):
    with pytest.raises(ConfigError, match="of mds 2,147,483,648 are the most"):
        pictures.export(SQL, format="mds", to=tmp_path / "out", shard_bytes=3 << 30)
