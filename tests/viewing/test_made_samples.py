"""What has no bytes of its own is shown as it is made, and what was erased says so: crops, frames, clips, exports."""

from __future__ import annotations

import io
import threading
import tomllib

import numpy as np
import pytest
from PIL import Image

import lakehouse as lh
from lakehouse.care.erase import erase
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.deriving.registry import transform_named
from lakehouse.deriving.step import derive
from lakehouse.deriving.transform import chain_of
from lakehouse.errors import EntityNotFoundError
from lakehouse.query import fetch
from lakehouse.viewing.export import export_pages
from lakehouse.viewing.pages import entity_page
from lakehouse.viewing.places import Places
from lakehouse.viewing.previews import Previews, full_picture
from tests.datasets.cells import CELLS, bring_cells, write_cells
from tests.ingestion.files import put, source
from tests.media.videos import made

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


def test_crops_of_a_dataset_have_a_page_and_go_with_their_picture(lake, tmp_path, shown):
    write_cells(tmp_path / "drop", CELLS, unanswered=())
    bring_cells(lake, tmp_path / "drop")
    lh.dimensions(lake)
    lh.build(lake, parse_recipe(tomllib.loads(RECIPE), where="cells.toml"))
    member, *_ = fetch(lake, "select entity_id, parent_ids[1] as parent from gold.dataset_members")
    (held,) = entity_page(lake, member["entity_id"])["shown"]["datasets"]
    assert (held["name"], held["split"]) == ("cells", "train")
    assert "samples" in export_pages(lake, tmp_path / "pages", sql="select entity_id from members")
    erase(lake, entities=[member["parent"]], reason="asked to")
    _, previews = shown()
    for gone in (member["parent"], member["entity_id"]):
        with pytest.raises(EntityNotFoundError, match="was erased"):
            previews.of(gone)


def test_a_picture_of_one_pixel_has_one(lake):
    place = io.BytesIO()
    Image.new("I;16", (1, 1), 7).save(place, "TIFF")
    with Image.open(io.BytesIO(full_picture(place.getvalue(), lake.config))) as picture:
        assert picture.size == (1, 1)
