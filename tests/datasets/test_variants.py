"""Variants of members: samples of their own, in the split of their picture, with what lies in it moved."""

from __future__ import annotations

import io
import itertools
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageOps

import lakehouse as lh
from lakehouse.datasets.policies.keypoints import KEYPOINTS
from lakehouse.datasets.policies.label import LABEL
from lakehouse.datasets.policies.moved_answers import move_answer
from lakehouse.datasets.policies.sides import side_pairs
from lakehouse.datasets.policies.tracks import TRACKS
from lakehouse.datasets.preview import plan_dataset
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.datasets.recipes.sections.variants import Variants
from lakehouse.datasets.sampling.variants import drawn
from lakehouse.datasets.sampling.varied import check_varied
from lakehouse.datasets.versions.version import contracts
from lakehouse.derived.identity import derived_id
from lakehouse.errors import RecipeError
from lakehouse.opinions.geometry import rle
from lakehouse.tracing.trace import trace_sample
from loaders import make_reader
from loaders.errors import DecodeError
from loaders.publishing.variants import ORIENTATIONS, Variant, variant_png
from tests.datasets.cells import CELLS, SIDE, bring_cells, names_of, recipe, write_cells
from tests.making import Clock, small_lake

HIGH, WIDE = 12, 20
MEMBERS = """
select entity_id, parent_ids, operation, parameters_json, answer_json, split, group_id, weight, selected_because
from gold.dataset_members where dataset_id = $id order by entity_id
"""
TURNED = {"copies": 3, "mirror": True, "turns": [90, 180, 270], "crop": 0.6, "brightness": 0.3, "contrast": 0.2}


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Boxes in pictures whose pixels are black but for the boxes, each in a grey of its own."""
    folder = tmp_path_factory.mktemp("cells")
    write_cells(folder, CELLS)
    for path in sorted((folder / "pictures").iterdir()):
        pixels = np.full((SIDE, SIDE, 3), 0 if path.stem in CELLS else 9, dtype=np.uint8)
        for number, (_, x0, y0, x1, y1) in enumerate(CELLS.get(path.stem, ())):
            pixels[y0 - 1 : y1, x0 - 1 : x1] = 200 - 40 * number
        Image.fromarray(pixels).save(path)
    with small_lake(folder / "lake", clock=Clock()) as lake:
        bring_cells(lake, folder)
        lh.dimensions(lake)
        yield lake, folder


def rows(lake, built):
    return lh.fetch(lake, MEMBERS, params={"id": built.details["dataset_id"]})


def test_where_pixels_come_to_lie_is_where_points_and_masks_go():
    noise = np.random.default_rng(5).integers(0, 256, (HIGH, WIDE, 3), dtype=np.uint8)
    for turn, mirror, exif in itertools.product(ORIENTATIONS, (False, True), range(1, 9)):
        picture, tag = Image.fromarray(noise), Image.Exif()
        tag[274] = exif
        file = io.BytesIO()
        picture.save(file, "png", exif=tag)
        high, wide = (HIGH, WIDE) if (exif >= 5) == (turn in (90, 270)) else (WIDE, HIGH)
        variant = Variant(turn, 3, 2, wide - 5, high - 4, mirror)
        found = np.asarray(Image.open(io.BytesIO(variant_png(file.getvalue(), variant, max_pixels=1000))))
        # Pillow's own way: upright, turned, cut, mirrored.
        upright = ImageOps.exif_transpose(Image.open(file))
        wanted = upright.rotate(-turn, expand=True).crop((3, 2, wide - 2, high - 2))
        wanted = np.asarray(ImageOps.mirror(wanted) if mirror else wanted)
        assert np.array_equal(found, wanted), (turn, mirror, exif)
        placement = variant.placement(HIGH, WIDE, exif)
        assert np.array_equal(placement.mask(noise[..., 0]), found[..., 0]), (turn, mirror, exif)
        middle = placement.points(np.array([[7.5, 5.5]]))[0]
        assert found[int(middle[1]), int(middle[0])].tolist() == noise[5, 7].tolist()


def test_variants_are_members_of_the_split_of_their_picture_and_stand_beside_it(cells):
    lake, _ = cells
    wanted = {"seed": 4, "split": {"ratios": {"train": 0.6, "test": 0.4}}}
    plain, built = lh.build(lake, recipe(**wanted)), lh.build(lake, recipe(variants=TURNED, **wanted))
    before, found = rows(lake, plain), rows(lake, built)
    split = {row["entity_id"]: row["split"] for row in before}
    assert Counter(split.values()) == {"train": 2, "test": 1}
    assert [row for row in found if row["operation"] is None] == before
    made = [row for row in found if row["operation"] == "variant"]
    assert Counter(row["parent_ids"][0] for row in made) == {
        entity: 3 for entity, where in split.items() if where == "train"
    }
    for row in made:
        assert row["entity_id"] == derived_id(row["parent_ids"], "variant", json.loads(row["parameters_json"]))
        assert row["split"] == "train"
        assert row["group_id"] == row["parent_ids"][0]
        assert row["selected_because"].endswith(f"of {row['parent_ids'][0]}")
    counts = built.counts
    assert counts["considered"] == plain.counts["considered"]
    assert counts["considered"] + counts["variants"] == counts["members"] + counts["excluded"]


def test_more_copies_leave_the_first_ones_and_another_seed_gives_others(cells):
    lake, _ = cells

    def ids(**more):
        return {row["entity_id"] for row in rows(lake, lh.build(lake, recipe(**more))) if row["operation"]}

    assert ids(variants=TURNED | {"copies": 2}) < ids(variants=TURNED)


def test_variants_of_another_contract_are_refused_and_not_made(cells, monkeypatch):
    lake, _ = cells
    built = lh.build(lake, recipe(name="older", variants=TURNED))
    monkeypatch.setattr("lakehouse.materialise.encoding.VARIANTS_CONTRACT", 2)
    with pytest.raises(RecipeError, match="built by contract 1 of `variants`, and here is 2"):
        lh.materialise(lake, built.details["dataset_id"])


def test_a_seed_decides_what_is_drawn():
    variants = Variants(copies=3, mirror=True, crop=0.6, brightness=0.3)
    first, again, other = (list(drawn("m", seed, variants, HIGH, WIDE)) for seed in (1, 1, 2))
    assert first == again
    assert not [each for each in other if each in first]
    # Golden: ids of members are made of these.
    assert first[0] == {"turn": 0, "left": 1, "top": 4, "width": 13, "height": 8, "gains": [1.241, 1.241, 1.241]}


def test_boxes_lie_where_the_pixels_are(cells):
    lake, _ = cells
    built = lh.build(lake, recipe(variants=TURNED | {"brightness": 0.0, "contrast": 0.0, "copies": 5}))
    folder = lake.root / lh.materialise(lake, built.details["dataset_id"]).details["folder"]
    seen = Counter()
    with make_reader(folder / "train", batch_size=1) as reader:
        for batch in reader:
            image, (boxes,) = np.asarray(batch["image"][0]), batch["boxes"]
            seen[bool(batch["is_variant"][0])] += 1
            assert (batch["parent_id"][0] == batch["entity_id"][0]) == (not batch["is_variant"][0])
            inside = np.zeros(image.shape[:2], dtype=bool)
            for x0, y0, x1, y1 in np.asarray(boxes).round().astype(int):
                inside[y0:y1, x0:x1] = True
                assert image[y0:y1, x0:x1].min() > 0
            assert not image[~inside].any()
    assert seen == {False: 3, True: 15}


def test_without_the_originals_they_are_left_out_by_name_and_all_is_counted(cells):
    lake, _ = cells
    wanted = recipe(name="only", variants={"copies": 1, "mirror": True, "keep_original": False})
    plan, built = plan_dataset(lake, wanted), lh.build(lake, wanted)
    assert plan.dataset_id == built.details["dataset_id"]
    assert (plan.members, plan.considered, plan.variants) == (3, 4, 3)
    assert (built.counts["members"], built.counts["considered"], built.counts["variants"]) == (3, 4, 3)
    assert built.details["excluded_because"] == "3 only_variants + 1 no_answer"
    assert {row["operation"] for row in rows(lake, built)} == {"variant"}
    # Of a plan bytes are of the pictures, which these are as large as.
    sizes = lh.fetch(lake, "select sum(width * height * 2) as n from entities_wide where width is not null")
    assert plan.splits[0]["bytes"] == sizes[0]["n"] * 3 // 4


def test_variants_of_crops_are_traced_to_their_picture_and_read_as_its_pixels(cells):
    lake, folder = cells
    built = lh.build(lake, recipe(name="both", samples={"of": "regions"}, variants={"copies": 1, "mirror": True}))
    made = [row for row in rows(lake, built) if row["operation"] == "variant"]
    assert len(made) == 4
    names = names_of(lake)
    with make_reader(lake.root / lh.materialise(lake, "both").details["folder"] / "train", batch_size=1) as reader:
        for batch in reader:
            left, top, width, height = batch["crop"][0].tolist()
            with Image.open(folder / "pictures" / f"{names[batch['parent_id'][0]]}.png") as picture:
                wanted = np.asarray(picture.crop((left, top, left + width, top + height)))
            assert np.array_equal(batch["image"][0], wanted[:, ::-1] if batch["is_variant"][0] else wanted)
    trace = trace_sample(lake, "both", made[0]["entity_id"])
    assert trace.entity[0]["operation"] == "variant"
    assert [row["entity_id"] for row in trace.entity[1:]] == made[0]["parent_ids"]
    assert trace.member["entity_id"] == made[0]["entity_id"]


def test_an_entity_is_traced_by_its_own_id_beside_its_variants(cells):
    lake, _ = cells
    lh.build(lake, recipe(name="beside", variants={"copies": 1, "mirror": True}))
    entity = next(entity for entity, name in names_of(lake).items() if name == "a")
    assert trace_sample(lake, "beside", entity).member["operation"] is None


def test_an_evaluation_leaves_variants_out(cells):
    lake, _ = cells
    built = lh.build(lake, recipe(name="judged", variants={"copies": 2, "mirror": True, "turns": [180]}))
    said = [{"entity_id": row["entity_id"], "regions": json.loads(row["answer_json"])} for row in rows(lake, built)
            if row["operation"] is None]  # fmt: skip
    for each in said:
        each["regions"] = [{"kind": "box", **{k: box[k] for k in ("label", "x", "y", "w", "h")}, "score": 0.9}
                           for box in each["regions"]]  # fmt: skip
    lh.record_opinions(lake, said, source="model", question="cells", actor="model:one@1")
    receipt = lh.evaluate(lake, dataset_id=built.details["dataset_id"], actor="model:one@1", question="cells",
                          split="train")  # fmt: skip
    assert receipt.counts["members"] == receipt.counts["answered"] == 3
    assert [each.rule for each in receipt.notes] == ["variants_left_out"]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"mirror": True}, "mirror changes nothing without variants.copies"),
        ({"copies": 1}, "nothing says how they differ"),
        ({"copies": 2, "mirror": True}, "mirror and turns give 1 different ones"),
        ({"copies": 1, "turns": [45]}, "of 90, 180 and 270"),
        ({"copies": 1, "crop": 0.0}, "share of the sides"),
        ({"copies": 1, "brightness": 1.0}, "from 0 to below 1"),
        ({"copies": 101, "crop": 0.5}, "from 0 to 100"),
        ({"copies": 1, "mirror": True, "splits": []}, "name each split once"),
        ({"copies": 1, "mirror": True, "min_visible": 0.5}, "without variants.crop"),
    ],
)
def test_what_cannot_be_is_refused_by_name(section, message):
    with pytest.raises(RecipeError, match=message):
        parse_recipe({"name": "bad", "variants": section}, where="bad.toml")


def test_windows_native_pixels_strange_splits_and_unmeasured_pictures_are_refused(cells, lake, tmp_path):
    known, _ = cells
    with pytest.raises(RecipeError, match="no member is in split 'trian'.*train"):
        lh.build(known, recipe(variants={"copies": 1, "mirror": True, "splits": ["trian"]}))
    plan = plan_dataset(known, recipe(variants={"copies": 1, "mirror": True, "splits": ["trian"]}))
    assert "trian" in plan.problems[0]
    with pytest.raises(RecipeError, match=r"pixels.*RGB of 8 bits"):
        recipe(variants={"copies": 1, "mirror": True}, image={"pixels": "native"})
    write_cells(tmp_path, {"a": (("red", 1, 1, 5, 5),)}, unanswered=())
    bring_cells(lake, tmp_path)
    with pytest.raises(RecipeError, match="run `petrel dimensions`"):
        lh.build(lake, recipe(variants={"copies": 1, "mirror": True}))


def test_draws_are_even_over_poses_and_stay_inside_the_picture():
    variants = Variants(copies=8, mirror=True, turns=(90, 180, 270), crop=0.3, colour=0.1)
    poses = Counter()
    for number in range(50):
        for told in drawn(f"m{number}", 1, variants, HIGH, WIDE):
            high, wide = (WIDE, HIGH) if told["turn"] in (90, 270) else (HIGH, WIDE)
            poses[told["turn"], told.get("mirror", False)] += 1
            assert 0 <= told["left"] <= told["left"] + told["width"] <= wide
            assert 0 <= told["top"] <= told["top"] + told["height"] <= high
            assert all(0.9 <= gain <= 1.1 for gain in told["gains"])
    assert set(poses.values()) == {50}
    (one, two) = drawn("tiny", 1, Variants(copies=2, crop=0.05), 1, 1)
    assert two == one | {"occurrence": 2}


MIRROR = Variant(0, 0, 0, WIDE, HIGH, mirror=True)


def test_polygons_masks_and_keypoints_move_and_lose_what_a_window_cuts_off():
    mask = np.zeros((HIGH, WIDE), np.uint8)
    mask[2:6, 1:9] = 1
    told = {"label": "red", "counts": rle.compress(rle.encode(mask)), "size": [HIGH, WIDE], "area": 32}
    gone = {"label": "red", "parts": [[0, 0, 2, 0, 2, 2, 0, 2]], "area": 4.0}
    kept = {"label": "white", "parts": [[8, 4, 12, 4, 12, 8, 8, 8]], "area": 16.0, "iscrowd": True}
    window = Variant(90, 2, 4, 8, 14).placement(HIGH, WIDE, 1)
    moved = move_answer("polygons", [gone, kept], window)
    # A quarter turn clockwise takes (x, y) to (12 - y, x); the window starts at (2, 4).
    assert (moved.answer, moved.left) == ([kept | {"parts": [[6.0, 4.0, 6.0, 8.0, 2.0, 8.0, 2.0, 4.0]]}], 1)
    half = Variant(0, 10, 0, 10, HIGH).placement(HIGH, WIDE, 1)
    assert move_answer("polygons", [kept], half).answer[0].keys() == {"label", "parts", "iscrowd"}
    assert move_answer("polygons", [kept], half, min_visible=0.6) == ([], 1)
    moved = move_answer("masks", {"size": [HIGH, WIDE], "objects": [told]}, MIRROR.placement(HIGH, WIDE, 1))
    (found,) = moved.answer["objects"]
    assert np.array_equal(rle.decode(rle.decompress(found["counts"]), HIGH, WIDE), mask[:, ::-1])
    assert found["area"] == 32
    assert move_answer("masks", {"size": None, "objects": []}, half) == ({"size": None, "objects": []}, 0)
    with pytest.raises(DecodeError, match="a mask of 12 x 20 px on a picture of 20 x 12"):
        move_answer("masks", {"size": [HIGH, WIDE], "objects": [told]}, MIRROR.placement(WIDE, HIGH, 1))
    face = {"label": "red", "points": [[4, 4, 2], [8, 4, 1], [0, 0, 0]], "x": 2.0, "y": 2.0, "w": 8.0, "h": 6.0}
    (found,) = move_answer("keypoints", [face], MIRROR.placement(HIGH, WIDE, 1), pairs=((0, 1),)).answer
    assert found == face | {"points": [[12.0, 4.0, 1], [16.0, 4.0, 2], [0.0, 0.0, 0]], "x": 10.0}
    for kind, said in (("label", "red"), ("number", 3.5), ("labels", ["red"])):
        assert move_answer(kind, said, half) == (said, 0)
    with pytest.raises(ValueError, match="answers of kind tracks"):
        move_answer("tracks", [], half)


def test_a_mirror_needs_names_of_keypoints_and_labels_without_sides():
    wanted = recipe(variants={"copies": 1, "mirror": True})
    named = replace(KEYPOINTS, asked={"keypoints": ["left_eye", "right_eye"]})
    check_varied(wanted, named, ("red",))
    with pytest.raises(RecipeError, match="question `cells` names no keypoints"):
        check_varied(wanted, KEYPOINTS, ("red",))
    with pytest.raises(RecipeError, match="'left_hand' and 'right_hand' say which side"):
        check_varied(wanted, LABEL, ("left_hand", "right_hand"))
    with pytest.raises(RecipeError, match="'TURN_LEFT' and 'TURN_RIGHT' say which side"):
        check_varied(wanted, LABEL, ("TURN_LEFT", "TURN_RIGHT"))
    with pytest.raises(RecipeError, match="'l_hand' and 'r_hand' say which side"):
        check_varied(wanted, LABEL, ("l_hand", "r_hand"))
    check_varied(wanted, LABEL, ("l", "r"))
    shouted = replace(KEYPOINTS, asked={"keypoints": ["left_eye", "right_eye", "LEFT_hip", "right_HIP"]})
    with pytest.raises(RecipeError, match="keypoints 'LEFT_hip' and 'right_HIP' seem to be of two sides"):
        check_varied(wanted, shouted, ("red",))
    check_varied(recipe(variants={"copies": 1, "turns": [90]}), shouted, ("red",))
    with pytest.raises(RecipeError, match="answers of kind tracks"):
        check_varied(recipe(variants={"copies": 1, "turns": [90]}), TRACKS, ())


@pytest.mark.parametrize(("names", "pairs"), [
    (("nose", "left_eye", "right_eye"), [(1, 2)]),
    (("LEFT_HIP", "RIGHT_HIP"), [(0, 1)]),
    (("r_eye", "l_eye", "eye.L", "eye.R"), [(1, 0), (2, 3)]),
    (("LShoulder", "RShoulder", "EyeL", "EyeR", "lKnee", "rKnee"), [(0, 1), (2, 3), (4, 5)]),
    (("L", "R"), [(0, 1)]),
    (("tail", "tair", "lip", "rip", "nail", "Lip"), []),  # letters of a word
    (("left", "Left", "right"), [(0, 2)]),
])  # fmt: skip
def test_a_mirror_exchanges_names_that_differ_in_their_side(names, pairs):
    assert list(side_pairs(names)) == pairs


def test_new_sides_are_a_contract_and_those_known_before_rename_nothing():
    wanted = recipe(variants={"copies": 1, "mirror": True})
    known, new = ({"keypoints": each} for each in (["left_eye", "right_eye"], ["l_eye", "r_eye"]))
    assert "sides" not in contracts(wanted, replace(KEYPOINTS, asked=known))
    assert contracts(wanted, replace(KEYPOINTS, asked=new))["sides"] == 2
