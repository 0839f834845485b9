"""[image]: pictures are stored at one size or in one codec, and what lies in them moves with them, on both engines."""

from __future__ import annotations

import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps

import lakehouse as lh
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import RecipeError
from lakehouse.materialise import encoding
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.questions import Question
from loaders import Resize, make_reader, read_dataset, read_manifest
from tests.datasets.cells import names_of
from tests.datasets.pictures import samples, say
from tests.datasets.test_extending import add
from tests.making import small_lake

SIZES = {"wide": (40, 20), "tall": (20, 40), "turned": (40, 20), "small": (12, 12)}
BOX = {"kind": "box", "label": "cell", "x": 4.0, "y": 2.0, "w": 8.0, "h": 6.0}
EDGE = {"kind": "box", "label": "cell", "x": 0.0, "y": 0.0, "w": 2.0, "h": 2.0}
SQUARE = [(4.0, 2.0), (12.0, 2.0), (12.0, 8.0), (4.0, 8.0)]


def picture(name: str) -> Image.Image:
    width, height = SIZES[name]
    pixels = np.random.default_rng(len(name)).integers(0, 200, (height, width, 3), dtype=np.uint8)
    pixels[2:8, 4:12] = (255, 0, 0)
    return Image.fromarray(pixels)


def bring(lake, folder) -> None:
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in SIZES:
        more = {"exif": exif} if name == "turned" else {}
        picture(name).save(folder / f"{name}.png", **more)
    lh.land(lake, lh.Source(name="pictures", folder=str(folder)))
    lh.entities(lake)
    boxes = Question(question_id="boxes", answer_kind="regions", geometry_kinds=("box",))
    say(lake, boxes, "human:ann", {name: {"regions": [BOX, EDGE]} for name in SIZES})
    masks = Question(question_id="masks", answer_kind="regions", geometry_kinds=("mask",))
    say(lake, masks, "human:ann", {name: {"regions": [mask(name)]} for name in SIZES})
    outlines = Question(question_id="outlines", answer_kind="regions", geometry_kinds=("polygon",))
    points = [{"x": x, "y": y} for x, y in SQUARE]
    outline = {"kind": "polygon", "label": "cell", "points": points, "part_sizes": [4], "closed": True}
    say(lake, outlines, "human:ann", {name: {"regions": [outline]} for name in SIZES})


def mask(name: str) -> dict[str, object]:
    width, height = SIZES[name]
    drawn = np.zeros((height, width), np.uint8)
    drawn[2:8, 4:12] = 1
    counts = rle.compress(rle.encode(drawn))
    return {"kind": "mask", "label": "cell", "mask_encoding": "coco_rle", "mask_counts": counts, "mask_h": height,
            "mask_w": width}  # fmt: skip


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    root = tmp_path_factory.mktemp("forms")
    with small_lake(root / "lake") as lake:
        bring(lake, root / "drop")
        yield lake


def recipe(question: str = "", **image: object):
    policy = {"question": question, "label": {"policy": "single"}} if question else {}
    record = {"name": "forms", "split": {"ratios": {"test": 1.0}}, "image": image, **policy}
    return parse_recipe(record, where="forms.toml")


def built(lake, question: str = "", **image: object) -> str:
    return lh.build(lake, recipe(question, **image)).details["dataset_id"]


def upright(name: str) -> Image.Image:
    return picture(name).transpose(Image.Transpose.ROTATE_270) if name == "turned" else picture(name)


@pytest.mark.parametrize("fit", ["stretch", "cover", "contain"])
def test_pictures_boxes_masks_and_outlines_are_where_pillow_puts_the_red_square(lake, fit):
    form = {"size": [30, 60], "fit": fit, "codec": "png", "interpolation": "nearest"}
    rows = samples(lake, built(lake, "boxes", **form))
    with_masks = samples(lake, built(lake, "masks", **form))
    with_outlines = samples(lake, built(lake, "outlines", **form))
    shown = {name for name, row in rows.items() if len(row["boxes"])}
    assert shown == ({"wide", "small"} if fit == "cover" else {*SIZES})
    for name, row in rows.items():
        assert row["image"].shape == (30, 60, 3)
        assert row["media_type"] == "image/png"
        image = upright(name)
        if fit == "stretch":
            assert (row["image"] == np.asarray(image.resize((60, 30), Image.Resampling.NEAREST))).all()
        elif fit == "cover":
            assert (row["image"] == np.asarray(ImageOps.fit(image, (60, 30), Image.Resampling.NEAREST))).all()
        # What is seen of the red square is what the box says, to the half pixel that nearest may be off.
        red = (row["image"] == (255, 0, 0)).all(axis=2)
        if name not in shown:
            assert not red.any()
            continue
        y, x = np.nonzero(red)
        seen = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])
        assert np.abs(row["boxes"][0] - seen).max() <= 0.51
        assert (with_masks[name]["masks"][0].astype(bool) == red).mean() > 0.99
        outline = with_outlines[name]["polygons"]
        sides = [*outline.min(axis=0), *outline.max(axis=0)]
        np.testing.assert_allclose(sides, row["boxes"][0], atol=1e-4)


def test_objects_that_are_cut_off_are_left_out_with_their_labels_and_counted(lake):
    version = built(lake, "boxes", size=[8, 32], fit="cover")
    receipt = lh.materialise(lake, version)
    rows = samples(lake, version)
    left = sum(2 - len(row["boxes"]) for row in rows.values())
    assert left > 0
    assert all(len(row["boxes"]) == len(row["box_labels"]) for row in rows.values())
    noted = {note.rule: note.count for note in receipt.notes}
    assert noted == {"objects_left": left}
    assert read_dataset(lake.root / receipt.details["folder"]).lineage["objects_left"] == left


def test_the_source_affine_takes_boxes_back_to_the_picture_as_it_was_landed(lake):
    rows = samples(lake, built(lake, "boxes", size=[30, 60], fit="contain"))
    from loaders import stored_boxes

    for row in rows.values():
        back = stored_boxes(row["boxes"], row["source_affine"])
        np.testing.assert_allclose(back, [[4, 2, 12, 8], [0, 0, 2, 2]], atol=1e-4)


def test_max_side_keeps_small_pictures_byte_for_byte_and_turns_others(lake):
    version = built(lake, max_side=20)
    rows = samples(lake, version)
    assert {name: row["image"].shape[:2] for name, row in rows.items()} == {
        "wide": (10, 20), "tall": (20, 10), "turned": (20, 10), "small": (12, 12),
    }  # fmt: skip
    folder = lake.root / lh.materialise(lake, version).details["folder"] / "test"
    table = pq.read_table(next(folder.glob("*.parquet"))).to_pylist()
    names = names_of(lake)
    stored = {names[row["entity_id"]]: row["image"] for row in table}
    small = io.BytesIO()
    picture("small").save(small, "PNG")
    assert stored["small"] == small.getvalue()
    assert all(not Image.open(io.BytesIO(raw)).getexif() for raw in stored.values())


def test_a_codec_alone_changes_the_media_type_and_the_id_and_a_recipe_without_has_the_old_one(lake):
    plain, webp = built(lake), built(lake, codec="webp")
    assert plain != webp
    assert {row["media_type"] for row in samples(lake, webp).values()} == {"image/webp"}
    names = lh.find_dataset(lake, webp).contracts
    assert [name for name in names if name.startswith("pictures:") and "libwebp" in name]
    assert not [name for name in lh.find_dataset(lake, plain).contracts if name.startswith("pictures:")]


def test_another_encoder_than_the_version_was_built_for_is_refused(lake, monkeypatch):
    version = built(lake, codec="jpeg", quality=77)
    monkeypatch.setattr(encoding, "picture_encoder", lambda form: "Pillow 99")
    with pytest.raises(RecipeError, match="encoded with Pillow 13.*and here is Pillow 99.*build again"):
        lh.materialise(lake, version)


def test_a_form_of_pictures_for_what_is_none_is_refused(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        add(lake, ["n001"])
        with pytest.raises(RecipeError, match=r"\[image\] states what is stored of pictures"):
            lh.materialise(lake, built(lake, size=[8, 8]))


def named(lake, question: str = "", **fields: object) -> str:
    policy = {"question": question, "label": {"policy": "single"}} if question else {}
    record = {"name": "named", "split": {"ratios": {"test": 1.0}}, "fields": fields, **policy}
    return lh.build(lake, parse_recipe(record, where="named.toml")).details["dataset_id"]


def test_fields_are_picked_dropped_and_renamed_and_move_on_under_their_new_names(lake):
    folder = lake.root / lh.materialise(lake, named(lake, "outlines", drop=["weight"], rename={
        "image": "photo", "polygons": "outline", "polygon_sizes": "sizes",
    })).details["folder"] / "test"  # fmt: skip
    fields = {field.name: field for field in read_manifest(folder).fields}
    assert list(fields) == [
        "entity_id", "photo", "media_type", "outline", "sizes", "polygon_parts", "polygon_labels",
    ]  # fmt: skip
    geometry = fields["outline"].geometry
    assert (geometry.of, geometry.sizes, geometry.parts) == ("photo", "sizes", "polygon_parts")
    with make_reader(folder, batch_size=1, decoders={"photo": Resize((10, 10))}) as reader:
        for batch in reader:
            assert batch["photo"].shape == (1, 10, 10, 3)
            assert batch["outline"][0].max() <= 10
    picked = lake.root / lh.materialise(lake, named(lake, pick=["image"])).details["folder"] / "test"
    assert [field.name for field in read_manifest(picked).fields] == ["entity_id", "image"]


@pytest.mark.parametrize(("fields", "message"), [
    ({"pick": ["imge"]}, "samples have no column 'imge'; did you mean `image`"),
    ({"drop": ["label"]}, "there is no column 'label'.*media_type \\(string\\)"),
    ({"drop": ["polygon_sizes"]}, "column 'polygons' is cut by 'polygon_sizes'"),
    ({"rename": {"image": "weight"}}, "'weight' is the name of another column"),
    ({"rename": {"image": "split"}}, "'split' is a name of the lake's own"),
    ({"rename": {"image": "a b"}}, "use letters"),
    ({"rename": {"image": "a", "weight": "a"}}, "two columns the name 'a'"),
    ({"rename": {"image": "entity_id"}}, "rename.image = 'entity_id': that is the name of what joins rows back"),
    ({"pick": ["image"], "drop": ["weight"]}, "leave one out"),
    ({"drop": ["image"], "rename": {"image": "a"}}, "this column is left out"),
    ({"drop": ["entity_id"]}, "stays as it is"),
])  # fmt: skip
def test_fields_that_cannot_be_are_named(lake, fields, message):
    with pytest.raises(RecipeError, match=message):
        lh.materialise(lake, named(lake, "outlines", **fields))


@pytest.mark.parametrize(("image", "message"), [
    ({"size": [224]}, r"size = \[224\]; it is \[height, width\]"),
    ({"size": [0, 5]}, "size"),
    ({"size": [20_000, 5]}, "16,383"),
    ({"size": [8, 8], "max_side": 9}, "leave one of them out"),
    ({"size": [8, 8], "fit": "covr"}, "did you mean `?cover"),
    ({"fit": "cover"}, "fit changes nothing without image.size"),
    ({"size": [8, 8], "padding": 3}, "padding changes nothing"),
    ({"size": [8, 8], "fit": "contain", "padding": 300}, "padding = 300"),
    ({"codec": "png", "quality": 50}, "quality changes nothing"),
    ({"codec": "jpeg", "interpolation": "box"}, "interpolation changes nothing"),
    ({"codec": "jpeg", "quality": 0}, "quality = 0"),
    ({"codec": "jpeg", "pixels": "native"}, "native"),
    ({"size": [8, 8], "min_visible": 0.5}, "min_visible changes nothing"),
    ({"max_side": 0}, "max_side = 0"),
])  # fmt: skip
def test_what_no_picture_can_become_is_refused_with_its_key(image, message):
    with pytest.raises(RecipeError, match=message):
        recipe(**image)
