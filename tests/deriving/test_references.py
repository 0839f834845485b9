"""Frames and clips of videos: entities that are stored nowhere, whose pixels are those that FFmpeg decodes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import lakehouse as lh
from lakehouse.care.erase import erase
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.derived.identity import derived_id
from lakehouse.deriving.references import cut_of
from lakehouse.deriving.registry import transform_named
from lakehouse.deriving.step import derive
from lakehouse.deriving.transform import chain_of
from lakehouse.deriving.values import Frames, Reference
from lakehouse.errors import ConfigError, EntityNotFoundError, RecipeError
from lakehouse.extractors.registry import extractors
from lakehouse.query import fetch
from loaders import make_reader
from tests.ingestion.files import put, source
from tests.media.videos import av, made

UNEVEN_MS = [0, 40, 80, 400, 440, 1000, 1040, 1080, 1500, 1540, 1580, 2000]
VIDEOS = {
    "even.mp4": {},
    "turned.mov": {"container": "mov", "rotation": 90},
    "uneven.mkv": {"container": "matroska", "times_ms": UNEVEN_MS},
}  # fmt: skip


def chain(*texts):
    return chain_of(texts, transform_named)


@pytest.fixture(scope="module")
def raws():
    return {name: made(**said) for name, said in VIDEOS.items()}


@pytest.fixture
def landed(lake, raws, tmp_path):
    """A lake with three videos: one as usual, one that is turned, one of a variable rate."""
    for name, raw in raws.items():
        put(tmp_path / "drop", name, raw)
    lh.land(lake, source(tmp_path / "drop"))
    lh.entities(lake)
    lh.dimensions(lake, extractors=extractors(["video_header"]))
    return lake


def ids(lake):
    rows = fetch(lake, "select entity_id, path from silver.entity_sources")
    return {row["path"]: row["entity_id"] for row in rows}


def decoded(raw):
    """(time of showing in s, pixels) of each frame, in the order of showing, by PyAV alone."""
    with av.open(io.BytesIO(raw)) as file:
        found = []
        for frame in file.decode(video=0):
            pixels = frame.to_ndarray(format="rgb24", interpolation="BICUBIC")
            turns = frame.rotation // 90
            found.append((frame.time, np.rot90(pixels, turns)))
    start = found[0][0]
    return [(time - start, pixels) for time, pixels in found]


def pixels_of(lake, entity_id):
    data = lh.read_object(lake, entity_id)
    return np.asarray(Image.open(io.BytesIO(data))) if data.startswith(b"\x89PNG") else np.load(io.BytesIO(data))


def test_frames_are_references_with_the_pixels_that_ffmpeg_decodes(landed, raws):
    receipt = derive(landed, chain("frames:every=5"))
    assert receipt.counts == {
        "seen": 3, "parents": 3, "of_nothing": 0, "rejected": 0, "made": 9, "new_entities": 9
    }  # fmt: skip
    rows = fetch(landed, "select * from entities_wide where operation = 'frame' order by parent_id, frame_index")
    assert len(rows) == 9
    for path, video in ids(landed).items():
        truth = decoded(raws[path])
        mine = [row for row in rows if row["parent_id"] == video]
        assert [row["frame_index"] for row in mine] == [0, 5, 10]
        for row in mine:
            index = row["frame_index"]
            time, pixels = truth[index]
            assert row["entity_id"] == derived_id([video], "frame", {"index": index})
            assert (row["storage"], row["object_uri"], row["media_type"]) == ("none", None, "image/png")
            assert (row["frame_height"], row["frame_width"]) == pixels.shape[:2]
            assert row["frame_time_s"] == pytest.approx(time, abs=1e-6)
            assert np.array_equal(pixels_of(landed, row["entity_id"]), pixels)
    assert not derive(landed, chain("frames:every=5")).changed
    objects = sum(1 for each in (landed.root / "objects").rglob("*") if each.is_file())
    assert objects == len(raws)


def test_a_moment_is_the_frame_that_is_shown_then_and_one_frame_is_one_entity(landed, raws):
    video = ids(landed)["uneven.mkv"]
    for moment, shown in ((0.0, 0), (0.039, 0), (0.39, 2), (0.4, 3), (1.2, 7), (1.9, 10), (2.0, 11)):
        derive(landed, chain(f"frame:time_s={moment}"), where="video_is_variable_rate")
        wanted = derived_id([video], "frame", {"index": shown})
        found = fetch(landed, "select frame_index from entities_wide where entity_id = $id", params={"id": wanted})
        assert found == [{"frame_index": shown}], moment
    known = fetch(landed, "select count(*) as n from silver.entities where operation = 'frame'")[0]["n"]
    receipt = derive(landed, chain("frame:index=7"), where="video_is_variable_rate")
    assert (receipt.counts["made"], receipt.counts["new_entities"]) == (1, 0)
    assert fetch(landed, "select count(*) as n from silver.entities where operation = 'frame'")[0]["n"] == known


def test_what_a_video_has_not_is_a_rejection_that_says_why(landed):
    receipt = derive(landed, chain("frame:index=12"))
    assert (receipt.counts["rejected"], receipt.counts["made"]) == (3, 0)
    assert "frame 12 is asked of a video of 12" in str(receipt.notes)
    receipt = derive(landed, chain("clip:start=10,length=3"))
    assert receipt.counts["rejected"] == 3
    assert "the video ends at 12" in str(receipt.notes)


def test_frames_are_measured_derived_from_and_read_like_pictures(landed):
    derive(landed, chain("frame:index=3"))
    lh.dimensions(landed)
    rows = fetch(landed, "select entity_id, width, height, brightness, frame_width, frame_height, video_frames "
                         "from entities_wide where operation = 'frame'")  # fmt: skip
    assert len(rows) == 3
    for row in rows:
        pixels = pixels_of(landed, row["entity_id"])
        assert (row["height"], row["width"]) == (row["frame_height"], row["frame_width"]) == pixels.shape[:2]
        luma = np.asarray(Image.fromarray(pixels).convert("L"))
        assert row["brightness"] == pytest.approx(luma.mean() / 255, abs=0.01)
        assert row["video_frames"] is None
        with lh.open_object(landed, row["entity_id"], range=(0, 8)) as file:
            assert file.read() == b"\x89PNG\r\n\x1a\n"
    assert not lh.dimensions(landed).changed
    made_of_frames = derive(landed, chain("resize:height=6,width=8"), where="operation = 'frame'")
    assert made_of_frames.counts["made"] == 3


def test_a_dataset_of_frames_has_their_pixels_and_keeps_them_with_their_video(landed):
    derive(landed, chain("frames:every=4"))
    sql = "select entity_id from entities_wide where operation = 'frame' and frame_width = 64"
    recipe = {"name": "stills", "select": {"sql": sql}, "split": {"ratios": {"train": 0.5, "test": 0.5}}}
    built = lh.build(landed, parse_recipe(recipe, where="stills.toml"))
    text = """select e.parent_id, m.split from gold.dataset_members m
              join silver.entities e on e.entity_id = m.entity_id where m.dataset_id = $id"""
    rows = fetch(landed, text, params={"id": built.details["dataset_id"]})
    places = {(row["parent_id"], row["split"]) for row in rows}
    assert len(places) == len({video for video, _ in places}) == 2
    folder = landed.root / lh.materialise(landed, "stills").details["folder"]
    seen = 0
    for split in sorted({split for _, split in places}):
        with make_reader(folder / split, batch_size=8) as reader:
            for batch in reader:
                assert batch["image"].shape[1:] == (48, 64, 3)
                for place in np.flatnonzero(~batch["is_pad"]):
                    assert np.array_equal(batch["image"][place], pixels_of(landed, batch["entity_id"][place]))
                    seen += 1
    assert seen == built.counts["members"] == 6


def test_frames_of_another_decoder_are_not_taken_over(landed, monkeypatch):
    derive(landed, chain("frames:every=4"))

    def published(least):
        sql = f"select entity_id from entities_wide where operation = 'frame' and frame_index >= {least}"
        recipe = {"name": "stills", "select": {"sql": sql}, "split": {"ratios": {"train": 1.0}}}
        built = lh.build(landed, parse_recipe(recipe, where="stills.toml"))
        return lh.materialise(landed, built.details["dataset_id"]).details

    first = published(0)
    assert published(-1)["extends"] == first["dataset_id"]
    for module in ("lakehouse.materialise.encoding", "loaders.decoding.verdict"):
        monkeypatch.setattr(f"{module}.decoder_of", lambda: "libavcodec 0.1")
    again = published(-1)
    assert again["dataset_id"] != first["dataset_id"]
    assert "extends" not in again
    with pytest.raises(RecipeError, match="frames decoded with .*, and here is libavcodec 0.1"):
        lh.materialise(landed, first["dataset_id"], fresh=True)


def test_erasing_a_video_erases_its_frames_and_clips(landed):
    derive(landed, chain("frames:every=6"))
    derive(landed, chain("clips:length=4,height=8,width=8"))
    video = ids(landed)["even.mp4"]
    clip = derived_id([video], "clip", {"start": 4, "length": 4, "step": 1, "height": 8, "width": 8})
    assert pixels_of(landed, clip).shape == (4, 8, 8, 3)
    receipt = erase(landed, entities=[video], reason="asked to")
    assert receipt.counts["entities"] == 1 + 2 + 3
    left = fetch(landed, "select count(*) as n from silver.entities where parent_id = $id", params={"id": video})
    assert left[0]["n"] == 0
    with pytest.raises(EntityNotFoundError, match="was erased"):
        lh.read_object(landed, clip)
    assert derive(landed, chain("frames:every=6")).counts["seen"] == 0


@pytest.mark.parametrize("reference", [
    Reference("still", {"index": 1}), Reference("frame", {}), Reference("frame", {"index": -1}),
    Reference("frame", {"index": True}), Reference("frame", {"index": 1, "time_s": 0.0}),
    Reference("clip", {"start": 0, "length": 0, "step": 1}), Reference("clip", {"start": 0, "length": 2}),
    Reference("clip", {"start": 0, "length": 2, "step": 1, "height": 8}),
    Reference("clip", {"start_s": float("nan"), "length": 2, "step_s": 0.1}),
])  # fmt: skip
def test_references_that_cannot_be_are_refused(reference):
    video = Frames(np.arange(5) / 25, 0.2, 48, 64)
    with pytest.raises(ValueError, match=r"expected|references are|found"):
        cut_of({"entity_id": "a" * 64, "storage": "copy"}, video, reference)


def test_references_stand_alone_in_a_chain():
    with pytest.raises(ConfigError, match="stand alone"):
        chain("frames", "flip")
