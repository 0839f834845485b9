"""Clips as samples: stretches of frames of videos, whole, with the pixels that FFmpeg decodes, never across splits."""

from __future__ import annotations

import io
import shutil
from collections import Counter
from datetime import timedelta

import numpy as np
import pytest

import lakehouse as lh
from lakehouse.care.expire import expire
from lakehouse.comparing.diff import diff_datasets
from lakehouse.datasets.preview import plan_dataset
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.derived.identity import derived_id
from lakehouse.deriving.registry import transform_named
from lakehouse.deriving.step import derive
from lakehouse.deriving.transform import chain_of
from lakehouse.errors import BytesNeededError, RecipeError
from lakehouse.media.clip_places import ClipRule, clip_places
from lakehouse.opinions.predictions import record_opinions
from lakehouse.query import fetch
from lakehouse.tracing.impact import impact_of
from lakehouse.tracing.trace import trace_sample
from loaders import make_reader
from tests.ingestion.files import put, source
from tests.making import small_lake
from tests.media.videos import av, made

UNEVEN_MS = [0, 40, 80, 400, 440, 1000, 1040, 1080, 1500, 1540]
VIDEOS = {
    "long.mp4": {"frames": 13}, "short.mp4": {"frames": 3}, "turned.mov": {"container": "mov", "rotation": 90},
    "uneven.mkv": {"container": "matroska", "frames": 10, "times_ms": UNEVEN_MS},
}  # fmt: skip
LABELS = {"long.mp4": "walk", "turned.mov": "run", "uneven.mkv": "walk"}


@pytest.mark.parametrize(("said", "frames", "whole", "rest"), [
    ({}, 8, [0, 4], []),
    ({}, 9, [0, 4], [8]),
    ({"pads": True}, 9, [0, 4, 8], []),
    ({"stride": 2}, 8, [0, 2, 4], []),            # what begins at 6 has no frame of its own
    ({"stride": 2}, 9, [0, 2, 4], [6]),
    ({"step": 2}, 8, [0], []),
    ({"step": 2}, 9, [0], [8]),
    ({}, 3, [], [0]),
    ({}, 0, [], []),
])  # fmt: skip
def test_clips_lie_one_after_the_other(said, frames, whole, rest):
    found = clip_places(ClipRule(4, **said), frames=frames, duration_s=0)
    assert [each["start"] for each in found.whole] == whole
    assert [each["start"] for each in found.rest] == rest


def test_clips_in_seconds_end_with_the_last_frame():
    found = clip_places(ClipRule(3, step_s=0.1, stride_s=0.15), frames=1, duration_s=0.55)
    assert [each["start_s"] for each in found.whole] == [0.0, 0.15, 0.3]
    assert found.whole[1] == {"start_s": 0.15, "length": 3, "step_s": 0.1}
    assert [each["start_s"] for each in found.rest] == [0.45]


@pytest.mark.parametrize(("said", "frames", "words"), [
    ({"step_s": 0.1, "stride_s": 1e-6}, 1, "2,000,000 clips .* of 2 s, .* every stride_s = 1e-06; 2e-05 and more"),
    ({"stride": 1}, 250_000, "250,000 clips of one video of 250,000 frames, .* every stride = 1; 3 and more"),
])  # fmt: skip
def test_a_stride_that_gives_too_many_clips_is_told_how_many(said, frames, words):
    with pytest.raises(ValueError, match=words):
        clip_places(ClipRule(3, **said), frames=frames, duration_s=2.0)


@pytest.fixture(scope="module")
def raws():
    return {name: made(**said) for name, said in VIDEOS.items()}


def filled(lake, raws, drop):
    for name, raw in raws.items():
        put(drop, name, raw)
    lh.land(lake, source(drop))
    lh.entities(lake)
    lh.dimensions(lake)
    record_opinions(lake, [{"entity_id": ids(lake)[name], "label": LABELS[name]} for name in LABELS if name in raws],
                    source="round", question="gait", actor="human:ann")  # fmt: skip
    return lake


@pytest.fixture(scope="module")
def videos(raws, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    with small_lake(folder / "lake") as lake:
        yield filled(lake, raws, folder / "drop")


def ids(lake):
    return {row["path"]: row["entity_id"] for row in fetch(lake, "select entity_id, path from silver.entity_sources")}


def recipe(samples=(), **record):
    said = {"name": "steps", "question": "gait", "split": {"ratios": {"all": 1.0}}}
    clips = {"of": "clips", "length": 4, "size": [24, 32]} | dict(samples)
    return parse_recipe(said | record | {"samples": clips}, where="steps.toml")


def members(lake, built):
    text = "select * from gold.dataset_members where dataset_id = $id"
    return fetch(lake, text, params={"id": built.details["dataset_id"]})


def decoded(raw, size):
    """(time of showing in s, pixels, resized and upright) of each frame, by PyAV alone."""
    found = []
    with av.open(io.BytesIO(raw)) as file:
        for frame in file.decode(video=0):
            turns = frame.rotation // 90
            height, width = size[::-1] if turns % 2 else size
            pixels = frame.to_ndarray(format="rgb24", height=height, width=width, interpolation="BICUBIC")
            found.append((frame.time, np.rot90(pixels, turns)))
    return [(time - found[0][0], pixels) for time, pixels in found]


def test_clips_have_the_pixels_that_ffmpeg_decodes_and_load_as_one_array(videos, raws):
    torch = pytest.importorskip("torch")
    from loaders.torch import tensors

    built = lh.build(videos, recipe())
    assert built.counts["members"] == 3 + 3 + 2
    assert built.details["excluded_because"] == "2 incomplete_clip + 1 no_label"
    path_of = {thing: path for path, thing in ids(videos).items()}
    known = {row["entity_id"]: row for row in members(videos, built)}
    folder = videos.root / lh.materialise(videos, "steps").details["folder"] / "all"
    with make_reader(folder, batch_size=8, columns=["video", "entity_id", "parent_id", "label"]) as reader:
        (batch,) = torch.utils.data.DataLoader(tensors(reader), batch_size=None)
    assert (batch["video"].shape, batch["video"].dtype) == ((8, 4, 24, 32, 3), torch.uint8)
    for place, thing in enumerate(batch["entity_id"]):
        path = path_of[batch["parent_id"][place]]
        start = int(known[thing]["parameters_json"].partition('"start":')[2].partition(",")[0])
        truth = [pixels for _, pixels in decoded(raws[path], (24, 32))][start : start + 4]
        assert np.array_equal(np.asarray(batch["video"][place]), truth), path
        assert batch["label"][place] == LABELS[path]
    objects = sum(1 for each in (videos.root / "objects").rglob("*") if each.is_file())
    assert objects == len(VIDEOS)


def test_frames_of_another_decoder_are_no_part_of_a_version(videos, monkeypatch, tmp_path):
    first = lh.materialise(videos, lh.build(videos, recipe(name="again")).details["dataset_id"])
    for module in ("loaders.decoding.verdict", "lakehouse.materialise.encoding"):
        monkeypatch.setattr(f"{module}.decoder_of", lambda: "libavcodec 0.1")
    built = lh.build(videos, recipe(name="again")).details["dataset_id"]
    second = lh.materialise(videos, built)
    assert (built != first.details["dataset_id"], second.details.get("extends")) == (True, None)
    monkeypatch.setattr("lakehouse.materialise.encoding.CLIPS_CONTRACT", 2)
    shutil.rmtree(videos.root / second.details["folder"])
    with pytest.raises(RecipeError, match="built by contract 1 of `frames:libavcodec 0.1`, and here is 2"):
        lh.materialise(videos, built)
    with pytest.raises(RecipeError, match="built for frames decoded with lib"):
        videos.export(first.details["dataset_id"], format="webdataset", to=tmp_path / "out")


def test_clips_in_seconds_show_what_is_shown_then(videos, raws):
    said = {"length": 5, "step_s": 0.2, "stride_s": 0.4, "size": [], "incomplete": "pad"}
    sql = "select entity_id from entities_wide where video_is_variable_rate"
    built = lh.build(videos, recipe(said, name="timed", select={"sql": sql}, question=""))
    folder = videos.root / lh.materialise(videos, "timed").details["folder"] / "all"
    with make_reader(folder, batch_size=8) as reader:
        (batch,) = reader
    truth = decoded(raws["uneven.mkv"], (48, 64))
    known = {row["entity_id"]: row["parameters_json"] for row in members(videos, built)}
    assert batch["video"].shape[1:] == (5, 48, 64, 3)
    for thing, clip in zip(batch["entity_id"], batch["video"], strict=True):
        start = float(known[thing].partition('"start_s":')[2].partition(",")[0].rstrip("}"))
        for place, pixels in enumerate(clip):
            moment = start + place * 0.2
            shown = max((time, at) for at, (time, _) in enumerate(truth) if time <= moment + 1e-6)[1]
            assert np.array_equal(pixels, truth[shown][1])


def test_what_is_counted_are_clips_and_all_of_a_video_are_in_one_split(videos):
    halves = {"ratios": {"train": 0.5, "test": 0.5}}
    strata = {"by": ["label"], "quota": {"walk": 4, "run": 3}}
    built = lh.build(videos, recipe(name="halves", split=halves, strata=strata))
    rows = members(videos, built)
    assert Counter(row["label"] for row in rows) == {"walk": 4, "run": 3}
    assert len({(row["parent_ids"][0], row["split"]) for row in rows}) == len({row["parent_ids"][0] for row in rows})
    plan = plan_dataset(videos, recipe(name="unasked", split=halves, question=""))
    assert (plan.members, plan.considered) == (8, 11)


def test_clips_are_traced_and_compared_and_their_videos_are_needed(videos):
    built = lh.build(videos, recipe(name="traced"))
    video = ids(videos)["turned.mov"]
    clip = derived_id([video], "clip", {"start": 4, "length": 4, "step": 1, "height": 24, "width": 32})
    found = trace_sample(videos, "traced", clip)
    assert [row["entity_id"] for row in found.entity] == [clip, video]
    assert [row["path"] for row in found.landed] == ["turned.mov"]
    assert {row["subject_id"] for row in found.opinions} == {video}
    (version,) = (row for row in impact_of(videos, "entity", video).versions
                  if row["dataset_id"] == built.details["dataset_id"])  # fmt: skip
    assert version["touched"] == 3
    other = lh.build(videos, recipe({"stride": 2}, name="traced"))
    before, after = ({row["entity_id"] for row in members(videos, each)} for each in (built, other))
    change = diff_datasets(videos, built.details["dataset_id"], other.details["dataset_id"])
    assert (change.counts["came_in"], change.counts["went_out"]) == (len(after - before), len(before - after))
    videos.clock.forward(days=2)
    with pytest.raises(BytesNeededError):
        expire(videos, source="photos", older_than=timedelta(days=1))


@pytest.mark.parametrize(("samples", "record", "message"), [
    ({"length": 0}, {}, "samples.length = 0; a clip has 1 to"),
    ({"stride": 0}, {}, "samples.stride = 0; it is a number of frames"),
    ({"step_s": 0.0}, {}, "samples.step_s = 0"),
    ({"stride_s": 1.0}, {}, "samples.stride_s is without step_s"),
    ({"step_s": 1.0, "stride": 3}, {}, "samples.step_s is beside step or stride"),
    ({"size": [24]}, {}, r"samples.size = \[24\]"),
    ({"series": "speaker"}, {}, 'samples.series is of windows; write of = "windows"'),
    ({}, {"image": {"codec": "jpeg"}}, "samples.size says how large"),
    ({"of": "entities", "size": []}, {}, 'samples.length is of windows and clips; write of = "windows" or "clips"'),
])  # fmt: skip
def test_clips_that_cannot_be_are_refused(samples, record, message):
    with pytest.raises(RecipeError, match=message):
        recipe(samples, **record)


def test_too_many_clips_are_a_mistake_in_the_recipe(videos):
    with pytest.raises(RecipeError, match=r"\[samples\]: [0-9,]+ clips of one video of .* \(video [0-9a-f]{64}\)"):
        plan_dataset(videos, recipe({"step_s": 0.1, "stride_s": 1e-6}))


def test_frames_that_are_entities_are_decoded_within_the_limits_and_their_decoder_is_content(
    raws, tmp_path, monkeypatch
):
    with small_lake(tmp_path / "lake") as lake:
        filled(lake, {"long.mp4": raws["long.mp4"]}, tmp_path / "drop")
        others = parse_recipe({"name": "videos", "select": {"where": {"origin": "real", "parent_id": {"null": True}}}},
                              where="r")  # fmt: skip
        frames = parse_recipe({"name": "frames", "image": {"size": [12, 16], "codec": "png"},
                               "select": {"where": {"media_type": "image/png"}}}, where="r")  # fmt: skip
        derive(lake, chain_of(["frames:every=4"], transform_named))
        plain, first = (plan_dataset(lake, each).dataset_id for each in (others, frames))
        built = lh.build(lake, frames).details["dataset_id"]
        assert built == first
        contracts = fetch(lake, "select contracts_json from gold.datasets")[0]["contracts_json"]
        assert "frames:lib" in contracts
        with small_lake(tmp_path / "lake", "video.max_frames=2") as strict, pytest.raises(Exception) as refused:
            lh.materialise(strict, built)
        assert "max_frames" in str(refused.value) or "frames" in str(refused.value)
        for module in ("loaders.decoding.verdict", "lakehouse.materialise.encoding"):
            monkeypatch.setattr(f"{module}.decoder_of", lambda: "libavcodec 0.1")
        assert plan_dataset(lake, others).dataset_id == plain
        assert plan_dataset(lake, frames).dataset_id != first
        assert lh.build(lake, frames).details["dataset_id"] != first
        with pytest.raises(RecipeError, match="built for frames decoded with lib"):
            lh.materialise(lake, built)
