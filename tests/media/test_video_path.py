"""Videos go the whole way: landed, measured, built, materialised, read as clips; a second run changes nothing."""

from __future__ import annotations

import numpy as np

import lakehouse as lh
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.query import fetch
from loaders import VideoClip, make_reader
from loaders.decoding.video import decode_video
from tests.ingestion.files import put, source
from tests.media.videos import made

RECIPE = {
    "name": "clips", "seed": 3,
    "select": {"sql": "select entity_id, video_frames from entities_wide where video_frames > 1"},
    "split": {"ratios": {"all": 1.0}},
}  # fmt: skip


def test_videos_go_the_whole_way(lake, tmp_path):
    drop = tmp_path / "drop"
    videos = {"a.mp4": made(), "b.webm": made("webm", "libvpx-vp9"), "c.mov": made("mov", rotation=90, sound=True),
              "d.avi": made("avi", "mjpeg"), "e.mkv": made("matroska", "ffv1"), "one.mp4": made(frames=1)}  # fmt: skip
    for name, raw in videos.items():
        put(drop, name, raw)
    put(drop, "cut.mp4", made()[:-5])
    put(drop, "sound.mp4", made(encoder="", sound=True))
    lh.land(lake, source(drop))
    assert lh.entities(lake).counts == {"seen": 8, "stored": 6, "duplicate": 0, "rejected": 2}
    assert fetch(lake, "select rule, judged_by from silver.rejected order by rule") == [
        {"rule": "no_video", "judged_by": "video probe 1"}, {"rule": "truncated", "judged_by": "video probe 1"}
    ]  # fmt: skip
    assert lh.dimensions(lake).counts["rejected"] == 0
    found = fetch(lake, "select video_codec as codec, video_frames as frames, video_width as width, media_type "
                        "from entities_wide order by codec, frames, width")
    assert [tuple(row.values()) for row in found] == [
        ("ffv1", 12, 64, "video/x-matroska"), ("h264", 1, 64, "video/mp4"), ("h264", 12, 48, "video/quicktime"),
        ("h264", 12, 64, "video/mp4"), ("mjpeg", 12, 64, "video/x-msvideo"), ("vp9", 12, 64, "video/webm"),
    ]  # fmt: skip
    built = lh.build(lake, parse_recipe(RECIPE, where="clips.toml"))
    assert built.counts["members"] == 5
    folder = lake.root / lh.materialise(lake, "clips").details["folder"]
    with make_reader(folder / "all", batch_size=5, decoders={"video": VideoClip(4, (48, 64), place="first")}) as reader:
        (batch,) = reader
    assert batch["video"].shape == (5, 4, 48, 64, 3)
    first = batch["entity_id"].index(next(row["entity_id"] for row in fetch(
        lake, "select entity_id from silver.entity_sources where path = 'a.mp4'")))
    assert np.array_equal(batch["video"][first], decode_video(videos["a.mp4"])[:4])
    assert not lh.entities(lake).changed
    assert not lh.dimensions(lake).changed
    assert not lh.build(lake, parse_recipe(RECIPE, where="clips.toml")).changed
    assert not lh.materialise(lake, "clips").changed
