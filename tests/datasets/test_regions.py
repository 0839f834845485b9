"""Regions as samples: each is a member with its own label, its pixels a crop of the picture."""

from __future__ import annotations

import itertools
import json
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import lakehouse as lh
from lakehouse.cards.samples import samples_of
from lakehouse.comparing.members import REASONS, changed_members, counted
from lakehouse.datasets.preview import plan_dataset
from lakehouse.datasets.recipes.recipe import load_recipe
from lakehouse.derived.identity import derived_id
from lakehouse.errors import ConfigError, RecipeError
from lakehouse.tracing.impact import impact_of
from lakehouse.tracing.trace import trace_sample
from loaders import make_reader
from tests.datasets.cells import CELLS, SIDE, bring_cells, names_of, recipe, write_cells
from tests.making import Clock, add_entities, small_lake

REGIONS = {"of": "regions"}
MEMBERS = """
select entity_id, parent_ids, operation, parameters_json, label, split, group_id, weight, stratum
from gold.dataset_members where dataset_id = $id order by parent_ids[1], parameters_json
"""
LEFT = """
select entity_id, parent_ids, reason, detail from gold.dataset_exclusions where dataset_id = $id order by reason, detail
"""


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    write_cells(folder, CELLS)
    # Pixels that differ, so that another crop has other ones.
    for place, path in enumerate(sorted((folder / "pictures").iterdir())):
        noise = np.random.default_rng(place).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    with small_lake(folder / "lake", clock=Clock()) as lake:
        bring_cells(lake, folder)
        lh.dimensions(lake)
        yield lake, folder


def rows(lake, text, built):
    return lh.fetch(lake, text, params={"id": built.details["dataset_id"]})


def test_each_region_is_a_member_with_its_own_label_and_all_of_one_picture_are_in_one_split(cells):
    lake, _ = cells
    built = lh.build(lake, recipe(samples=REGIONS, split={"ratios": {"train": 0.5, "test": 0.5}}))
    names = names_of(lake)
    members = rows(lake, MEMBERS, built)
    found = Counter((names[row["parent_ids"][0]], row["label"]) for row in members)
    assert found == {("a", "red"): 2, ("a", "white"): 1, ("b", "red"): 1}
    assert {row["operation"] for row in members} == {"crop"}
    for row in members:
        assert row["entity_id"] == derived_id(row["parent_ids"], "crop", json.loads(row["parameters_json"]))
        assert row["group_id"] == row["parent_ids"][0]
    assert len({(row["parent_ids"][0], row["split"]) for row in members}) == 2
    left = rows(lake, LEFT, built)
    assert [(names[row["entity_id"]], row["reason"]) for row in left] == [("d", "no_answer"), ("c", "no_region")]
    assert built.counts["considered"] == built.counts["members"] + built.counts["excluded"] == 6


def test_what_is_too_small_is_left_out_by_region_and_counted(cells):
    lake, _ = cells
    built = lh.build(lake, recipe(samples=REGIONS | {"min_side": 4}))
    assert built.counts["members"] == 3
    left = [row for row in rows(lake, LEFT, built) if row["reason"] == "region_too_small"]
    assert [(row["detail"], names_of(lake)[row["parent_ids"][0]]) for row in left] == [
        ("region 3 (box): 1 x 1 px, min_side 4", "a")
    ]
    assert built.details["excluded_because"] == "1 no_answer + 1 no_region + 1 region_too_small"


def test_quotas_filters_and_weights_count_regions(cells):
    lake, _ = cells
    built = lh.build(lake, recipe(samples=REGIONS, strata={"by": ["label"], "quota": {"red": 2, "white": 1}}))
    assert Counter(row["stratum"] for row in rows(lake, MEMBERS, built)) == {"red": 2, "white": 1}
    only = lh.build(lake, recipe(samples=REGIONS, label={"policy": "single", "only": ["white"]}))
    assert [row["label"] for row in rows(lake, MEMBERS, only)] == ["white"]
    balanced = lh.build(lake, recipe(samples=REGIONS, balance={"by": "label"}))
    weights = {row["label"]: row["weight"] for row in rows(lake, MEMBERS, balanced)}
    assert weights["white"] == pytest.approx(3 * weights["red"])


def test_equal_regions_are_samples_of_their_own(lake, tmp_path):
    write_cells(tmp_path, {"a": (("red", 1, 1, 5, 5), ("white", 1, 1, 5, 5), ("red", 1, 1, 5, 5))}, unanswered=())
    bring_cells(lake, tmp_path)
    lh.dimensions(lake)
    built = lh.build(lake, recipe(samples=REGIONS))
    members = rows(lake, MEMBERS, built)
    assert sorted(row["label"] for row in members) == ["red", "red", "white"]
    assert sorted(json.loads(row["parameters_json"]).get("occurrence", 1) for row in members) == [1, 2, 3]
    with make_reader(lake.root / lh.materialise(lake, "cells").details["folder"] / "train", batch_size=3) as reader:
        (batch,) = reader
    # One size: they come as one array.
    assert batch["image"].shape == (3, 5, 5, 3)


@pytest.mark.parametrize("samples", [REGIONS, REGIONS | {"margin_px": 3, "square": True, "border": "pad"}])
def test_a_batch_has_the_pixels_that_pillow_cuts_out(cells, samples):
    lake, folder = cells
    built = lh.build(lake, recipe(samples=samples))
    receipt = lh.materialise(lake, built.details["dataset_id"])
    assert receipt.counts["rows"] == 4
    names, seen = names_of(lake), 0
    with make_reader(lake.root / receipt.details["folder"] / "train", batch_size=3) as reader:
        assert reader.classes == ("red", "white")
        for batch in reader:
            for place in np.flatnonzero(~batch["is_pad"]):
                left, top, width, height = batch["crop"][place].tolist()
                with Image.open(folder / "pictures" / f"{names[batch['parent_id'][place]]}.png") as picture:
                    wanted = np.asarray(picture.crop((left, top, left + width, top + height)))
                assert np.array_equal(batch["image"][place], wanted)
                x0, y0, x1, y1 = batch["region"][place]
                assert left <= x0 < x1 <= left + width
                assert top <= y0 < y1 <= top + height
                assert batch["label"][place] == reader.classes[batch["label_index"][place]]
                seen += 1
    assert seen == 4


def test_a_plan_tells_what_the_build_gives(cells):
    lake, _ = cells
    wanted = recipe(name="planned", samples=REGIONS, strata={"by": ["label"], "quota": {"red": 5}, "on_short": "take"})
    plan, built = plan_dataset(lake, wanted), lh.build(lake, wanted)
    assert plan.dataset_id == built.details["dataset_id"]
    assert (plan.considered, plan.members) == (built.counts["considered"], built.counts["members"]) == (6, 3)
    assert plan.splits[0]["bytes"] == 2 * (100 + 100 + 20)


def test_the_id_of_a_version_follows_what_it_cuts_and_not_the_rest(cells):
    lake, _ = cells
    ids = [
        lh.build(lake, recipe(samples=samples)).details["dataset_id"]
        for samples in (REGIONS, REGIONS | {"margin": 0.0}, REGIONS | {"margin": 0.5}, {"of": "entities"}, {})
    ]
    assert ids[0] == ids[1]
    assert ids[3] == ids[4]
    assert len(set(ids)) == 3


@pytest.mark.parametrize(("record", "message"), [
    ({"samples": {"margin": 0.1}}, r'samples.margin is of regions; write of = "regions"'),
    ({"samples": {"of": "region"}}, r"samples.of = 'region'.*regions"),
    ({"samples": REGIONS | {"margin": -0.1}}, r"samples.margin = -0.1"),
    ({"samples": REGIONS | {"margin_px": -1}}, r"samples.margin_px = -1"),
    ({"samples": REGIONS | {"min_side": float("inf")}}, r"min_side"),
    ({"samples": REGIONS | {"border": "mirror"}}, r"samples.border = 'mirror'"),
    ({"samples": REGIONS, "question": ""}, r"the recipe asks no question"),
    ({"samples": REGIONS, "label": {"policy": "single", "task": "boxes"}}, r"label.task"),
    ({"samples": REGIONS, "image": {"pixels": "native"}}, r"image.pixels"),
    ({"samples": REGIONS, "select": {"hard": {"disagreement": {"min": 0.2}}}}, r"select.hard"),
])  # fmt: skip
def test_samples_that_cannot_be_are_refused(record, message):
    with pytest.raises(RecipeError, match=message):
        recipe(**record)


def test_answers_that_are_no_regions_are_refused(lake, tmp_path):
    write_cells(tmp_path, {"a": ()}, unanswered=())
    bring_cells(lake, tmp_path)
    (entity,) = names_of(lake)
    lh.record_opinions(lake, [{"entity_id": entity, "label": "red"}], source="s", question="kind", actor="human:ada")
    with pytest.raises(RecipeError, match="kind.*answers are of kind label, not regions"):
        lh.build(lake, recipe(samples=REGIONS, question="kind", label={"policy": "majority"}))


def test_cells_of_bccd_are_those_that_pillow_cuts(lake, tmp_path, real_data):
    data = real_data("bccd")
    taken = sorted(path.stem for path in (data / "JPEGImages").glob("*.jpg"))[:6]
    for folder, ending, part in (("pictures", "jpg", "JPEGImages"), ("boxes", "xml", "Annotations")):
        (tmp_path / folder).mkdir()
        for name in taken:
            (tmp_path / folder / f"{name}.{ending}").write_bytes((data / part / f"{name}.{ending}").read_bytes())
    bring_cells(lake, tmp_path)
    lh.dimensions(lake)
    built = lh.build(lake, load_recipe("conf/datasets/bccd_cells.toml"))
    assert built.counts["members"] > 60
    folder, names = lake.root / lh.materialise(lake, "bccd_cells").details["folder"], names_of(lake)
    seen, labels = 0, set()
    for split in sorted(path.name for path in folder.iterdir() if path.is_dir()):
        with make_reader(folder / split, batch_size=8) as reader:
            for batch in reader:
                for place in np.flatnonzero(~batch["is_pad"]):
                    left, top, width, height = batch["crop"][place].tolist()
                    with Image.open(tmp_path / "pictures" / f"{names[batch['parent_id'][place]]}.jpg") as picture:
                        wanted = np.asarray(picture.convert("RGB").crop((left, top, left + width, top + height)))
                    assert np.array_equal(batch["image"][place], wanted)
                    seen, labels = seen + 1, labels | {batch["label"][place]}
    assert (seen, labels) == (built.counts["members"], {"RBC", "WBC", "Platelets"})


def test_a_crop_is_traced_to_its_picture_its_region_and_who_said_so(cells):
    lake, _ = cells
    built = lh.build(lake, recipe(samples=REGIONS | {"min_side": 4}))
    names = {name: entity for entity, name in names_of(lake).items()}
    (member,) = (row for row in rows(lake, MEMBERS, built) if row["parent_ids"] == [names["b"]])
    version = built.details["dataset_id"]
    found = trace_sample(lake, version, member["entity_id"])
    assert [row["entity_id"] for row in found.entity] == [member["entity_id"], names["b"]]
    assert json.loads(found.entity[0]["parameters_json"]) == {"left": 1, "top": 1, "width": 4, "height": 5}
    assert [row["path"] for row in found.landed] == ["b.png"]
    assert [row["actor_id"] for row in found.opinions] == ["human:ada"]
    assert json.loads(found.member["answer_json"])["label"] == "red"
    assert {row["dimension"] for row in found.measured} == {"width", "height"}
    # The only one of a picture is found by the picture, too; of several the ids are told.
    assert trace_sample(lake, version, names["b"]).member == found.member
    with pytest.raises(ConfigError, match="several samples begin with .*or are of it"):
        trace_sample(lake, version, names["a"])
    (left,) = (row for row in rows(lake, LEFT, built) if row["reason"] == "region_too_small")
    told = trace_sample(lake, version, left["entity_id"])
    assert told.excluded == {"reason": "region_too_small", "detail": left["detail"]}
    assert [row["entity_id"] for row in told.entity] == [left["entity_id"], names["a"]]


def test_impact_of_a_picture_counts_its_crops(cells):
    lake, _ = cells
    built = lh.build(lake, recipe(name="touched", samples=REGIONS | {"min_side": 4}))
    names = {name: entity for entity, name in names_of(lake).items()}
    (version,) = (
        row for row in impact_of(lake, "entity", names["a"]).versions
        if row["dataset_id"] == built.details["dataset_id"]
    )  # fmt: skip
    assert (version["touched"], version["left_out"]) == (2, 1)
    (by_source,) = (row for row in impact_of(lake, "source", "cells").versions if row["name"] == "touched")
    assert (by_source["touched"], by_source["left_out"]) == (3, 3)


def test_a_diff_tells_which_crops_came_and_went(cells):
    lake, _ = cells
    old = lh.build(lake, recipe(name="compared", samples=REGIONS)).details["dataset_id"]
    new = lh.build(lake, recipe(name="compared", samples=REGIONS | {"min_side": 4})).details["dataset_id"]
    found = changed_members(lake, old, new)
    assert counted(lake, found, REASONS) == [{"change": "out", "reason": "region_too_small", "members": 1}]


def test_exports_hold_the_crops(cells, tmp_path):
    lake, folder = cells
    version = lh.build(lake, recipe(samples=REGIONS)).details["dataset_id"]
    names = names_of(lake)
    receipt = lh.export(lake, version, to=tmp_path / "folders", format="imagefolder")
    assert receipt.counts["exported"] == 4
    members = {row["entity_id"]: row for row in rows(lake, MEMBERS, lh.build(lake, recipe(samples=REGIONS)))}
    files = sorted((tmp_path / "folders").rglob("*.png"))
    assert {path.stem: path.parent.name for path in files} == {key: row["label"] for key, row in members.items()}
    for path in files:
        row = members[path.stem]
        box = json.loads(row["parameters_json"])
        corners = (box["left"], box["top"], box["left"] + box["width"], box["top"] + box["height"])
        with Image.open(folder / "pictures" / f"{names[row['parent_ids'][0]]}.png") as picture, Image.open(path) as cut:
            assert np.array_equal(np.asarray(cut), np.asarray(picture.crop(corners)))
    # A second run finds its files.
    assert lh.export(lake, version, to=tmp_path / "folders", format="imagefolder").bytes_written == 0


def test_a_card_shows_crops(cells):
    lake, _ = cells
    built = lh.build(lake, recipe(samples=REGIONS))
    shown = samples_of(lake, built.details["dataset_id"])
    assert sorted(each.size_px for each in shown) == [(1, 1), (4, 5), (10, 10), (10, 10)]
    assert not any(each.problem for each in shown)
    assert {each.label for each in shown} == {"red", "white"}


def test_forms_that_state_sizes_state_those_of_the_crops(cells, tmp_path):
    lake, _ = cells
    version = lh.build(lake, recipe(samples=REGIONS)).details["dataset_id"]
    lh.export(lake, version, to=tmp_path / "parquet", format="parquet")
    (file,) = (tmp_path / "parquet").rglob("*.parquet")
    rows = pq.read_table(file).to_pylist()
    assert len(rows) == 4
    assert all(row["size_bytes"] == len(row["content"]) for row in rows)
    lh.export(lake, version, to=tmp_path / "mds", format="mds")
    (shard,) = (tmp_path / "mds").rglob("*.mds")
    data = shard.read_bytes()
    count = int(np.frombuffer(data, "<u4", 1)[0])
    ends = np.frombuffer(data, "<u4", count + 1, offset=4)
    assert (count, ends[-1]) == (4, len(data))
    # Every picture stands whole within its own sample.
    for row in rows:
        assert sum(row["content"] in data[a:b] for a, b in itertools.pairwise(ends.tolist())) == 1


def test_regions_of_a_question_that_nobody_asked_are_told_so(lake):
    add_entities(lake, ["a"])
    with pytest.raises(RecipeError, match="question `cells` was never asked in this lake; import answers with"):
        lh.build(lake, recipe())
