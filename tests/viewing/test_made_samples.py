"""What has no bytes of its own is shown as it is made, and what was erased says so: crops, frames, clips, exports."""

from __future__ import annotations

import hashlib
import io
import re
import threading
import tomllib
from datetime import timedelta

import numpy as np
import pytest
from PIL import Image

import lakehouse as lh
from lakehouse.care.erase import erase
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.deriving.registry import transform_named
from lakehouse.deriving.step import derive
from lakehouse.deriving.transform import chain_of
from lakehouse.errors import ConfigError
from lakehouse.opening import open_lake
from lakehouse.query import fetch
from lakehouse.tables.insert import insert_rows
from lakehouse.viewing.export import export_pages
from lakehouse.viewing.media import moments
from lakehouse.viewing.pages import entity_page
from lakehouse.viewing.places import Places
from lakehouse.viewing.previews import Previews, full_picture
from lakehouse.viewing.serve import serving
from schemas.tables import ENTITIES
from tests.datasets.cells import CELLS, bring_cells, write_cells
from tests.ingestion.files import png, put, source
from tests.making import START
from tests.media.videos import made
from tests.viewing.conftest import Seen

RECIPE = """
name = "cells"
question = "cells"
samples.of = "regions"
label.policy = "single"
select.sql = "select entity_id from entities"
split.ratios = { train = 1.0 }
"""


@pytest.fixture
def shown(lake, tmp_path):
    """Places and previews of a lake, as often as they are asked for: a server that was started anew."""

    def start() -> tuple[Places, Previews]:
        places = Places(lake, threading.Lock())
        return places, Previews(lake.config, places, tmp_path / "previews")

    return start


def test_frames_and_clips_show_their_pixels_and_whose_bytes_are_read(lake, tmp_path, shown):
    put(tmp_path / "drop", "even.mp4", made())
    lh.land(lake, source(tmp_path / "drop"))
    lh.entities(lake)
    for each in ("frame:index=3", "clip:start=3,length=2"):
        derive(lake, chain_of((each,), transform_named))
    places, previews = shown()
    rows = fetch(lake, "select entity_id, operation, media_type, parent_id from silver.entities where operation <> ''")
    assert {row["operation"] for row in rows} == {"frame", "clip"}
    pixels = {}
    for row in rows:
        place, (preview, picture) = places.of(row["entity_id"]), previews.of(row["entity_id"])
        assert (place.media_type, preview.problem) == (row["media_type"], "")
        assert place.size_bytes == len(lh.read_object(lake, row["parent_id"]))
        assert places.read(place) == lh.read_object(lake, row["entity_id"])
        with Image.open(io.BytesIO(picture)) as small:
            pixels[row["operation"]] = np.asarray(small.convert("RGB"))
    assert np.array_equal(pixels["frame"], pixels["clip"])
    (film,) = fetch(lake, "select entity_id from silver.entities where operation is null")
    told = moments(places, places.of(film["entity_id"]), lake.config)
    assert told == {"seconds": [0.0, *(pytest.approx(number / 25, abs=1e-3) for number in range(1, 12))]}
    with pytest.raises(ConfigError, match="only videos"):
        moments(places, places.of(rows[0]["entity_id"]), lake.config)


def test_crops_of_a_dataset_have_a_page_and_go_with_their_picture(lake, tmp_path, monkeypatch):
    write_cells(tmp_path / "drop", CELLS, unanswered=())
    bring_cells(lake, tmp_path / "drop")
    lh.dimensions(lake)
    lh.build(lake, parse_recipe(tomllib.loads(RECIPE), where="cells.toml"))
    member, *_ = fetch(lake, "select entity_id, parent_ids[1] as parent from gold.dataset_members")
    (held,) = entity_page(lake, member["entity_id"])["shown"]["datasets"]
    assert (held["name"], held["split"]) == ("cells", "train")
    assert "samples" in export_pages(lake, tmp_path / "pages", sql="select entity_id from members")
    with serving(lake, scratch=tmp_path / "previews") as address:
        seen = Seen(lake, address, {})
        asked = {"sql": "select entity_id, split from members"}
        shown_before = {row["entity_id"] for row in seen.post("rows", asked)["rows"]}
        assert member["entity_id"] in shown_before
        for each in (member["parent"], member["entity_id"]):
            told = seen.get(f"/preview/{each}")
            assert (told.status, told.headers["cache-control"]) == (200, "no-store")
            assert (tmp_path / "previews" / each).exists()
        with open_lake(lake.config) as other:  # as by another process
            receipt = erase(other, entities=[member["parent"]], reason="asked to")
        # Held rows and small pictures go at the next question, not when the server ends.
        left = {row["entity_id"] for row in seen.post("rows", asked)["rows"]}
        assert len(shown_before - left) == receipt.counts["entities"] - 1
        for each in (member["parent"], member["entity_id"]):
            assert not (tmp_path / "previews" / each).exists()
            for path in ("preview", "media"):
                told = seen.get(f"/{path}/{each}")
                assert (told.status, b"was erased" in told.body) == (404, True)
            assert "was erased" in seen.post("entity", {"id": each})["error"]
        assert seen.post("answers", {"ids": [member["parent"]]}) == {}
    # Rows that still name it are left out of static pages, and counted.
    text = f"select entity_id from entities union all select '{member['parent']}' union all select 'no such'"
    told = export_pages(lake, tmp_path / "left", sql=f"select * from ({text}) order by entity_id = 'no such'")
    assert f"2 rows left out: entity {member['parent']} was erased" in told
    assert member["parent"] not in (tmp_path / "left" / "data.js").read_text().replace(told.partition("; ")[2], "")
    size = sum(each.stat().st_size for each in (tmp_path / "left").rglob("*") if each.is_file())
    assert f" {size / 1e6:,.1f} MB, open {tmp_path / 'left' / 'index.html'}" in told
    monkeypatch.setattr("lakehouse.viewing.export.MOST_STORIES", 1)
    told = export_pages(lake, tmp_path / "short.html", sql="select entity_id from entities")
    assert re.search(r"; \d samples after the first 1 have no story", told)
    with pytest.raises(ConfigError, match="nothing to show: 1 rows left out"):
        export_pages(lake, tmp_path / "none", sql=f"select '{member['parent']}' as entity_id")
    assert not (tmp_path / "none").exists()


def test_a_window_shows_its_entities_in_order(lake, shown, monkeypatch):
    files = [png(number * 60, side=8) for number in range(4)]
    ids = [hashlib.sha256(data).hexdigest() for data in files]
    for thing, data in zip(ids, files, strict=True):
        put(lake.root / "objects" / thing[:2], thing, data)
    rows = [{"entity_id": thing, "media_type": "image/png", "size_bytes": 1, "storage": "copy", "origin": "real",
             "object_uri": f"objects/{thing[:2]}/{thing}", "group_keys": {"walk": "one"},
             "captured_at": START + timedelta(seconds=place)} for place, thing in enumerate(ids)]  # fmt: skip
    insert_rows(lake, ENTITIES, rows, step="test")
    said = {"name": "walks", "split": {"group": "walk", "ratios": {"train": 1.0}},
            "samples": {"of": "windows", "series": "walk", "order": "captured_at", "length": 4}}  # fmt: skip
    lh.build(lake, parse_recipe(said, where="walks.toml"))
    (member,) = fetch(lake, "select entity_id from gold.dataset_members")
    for _ in range(2):  # made, then kept
        preview, picture = shown()[1].of(member["entity_id"])
        assert (preview.kind, preview.parts, preview.problem) == ("window", tuple(ids), "")
    monkeypatch.setattr("lakehouse.viewing.previews.MOST_PARTS", 3)
    few, _ = Previews(lake.config, shown()[0], lake.scratch / "few").of(member["entity_id"])
    assert (few.parts, few.left_out) == (tuple(ids[:3]), 1)
    with Image.open(io.BytesIO(picture)) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    quarter = pixels.shape[0] // 2
    corners = [tuple(pixels[y + 2, x + 2]) for y in (0, quarter) for x in (0, quarter)]
    assert corners == [(number * 60, 0, 7) for number in range(4)]


def test_an_array_says_what_its_darkest_and_brightest_pixels_stand_for(lake, tmp_path, shown):
    values = {"map": np.linspace(-3, 5, 12, dtype=np.float32).reshape(1, 3, 4), "curve": np.arange(5.0),
              "none": np.zeros((0, 4)), "odd": np.array([[np.nan, -1.0], [np.inf, 2.0]])}  # fmt: skip
    for name, array in values.items():
        made_of = io.BytesIO()
        np.save(made_of, array)
        put(tmp_path / "drop", f"{name}.npy", made_of.getvalue())
    lh.land(lake, source(tmp_path / "drop", include=("*.npy",)))
    lh.entities(lake)
    _, previews = shown()
    told = {row["name"]: previews.of(row["entity_id"])[0]
            for row in fetch(lake, "select name, entity_id from silver.entity_sources")}  # fmt: skip
    # What is not finite is black, as the least value that is.
    assert {name: (each.low, each.high, each.shape) for name, each in told.items()} == {
        "map.npy": (-3.0, 5.0, (1, 3, 4)), "curve.npy": (None, None, (5,)), "none.npy": (None, None, (0, 4)),
        "odd.npy": (-1.0, 2.0, (2, 2)),
    }  # fmt: skip


def test_a_picture_of_one_pixel_has_one(lake):
    place = io.BytesIO()
    Image.new("I;16", (1, 1), 7).save(place, "TIFF")
    with Image.open(io.BytesIO(full_picture(place.getvalue(), lake.config))) as picture:
        assert picture.size == (1, 1)
