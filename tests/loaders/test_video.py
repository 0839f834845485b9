"""Frames of videos: the same whichever way they are reached, and those that another FFmpeg gives."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loaders import (
    DecodeError,
    Field,
    FormatError,
    ReadOptions,
    Shuffle,
    VideoClip,
    VideoFrames,
    make_reader,
    write_dataset,
)
from loaders.decoding.video import decode_video, open_video
from tests.media.videos import CODINGS, made, painted

VIDEO = Field("video", pa.binary(), codec="video", shape=(None, None, None, 3))


@pytest.fixture(scope="module")
def plain() -> bytes:
    """Twelve frames, 25 a second, three runs."""
    return made(parameters="keyint=4")


def by_opencv(raw: bytes, folder: Path, ending: str) -> np.ndarray:
    """All frames as OpenCV's own FFmpeg gives them, RGB."""
    cv2 = pytest.importorskip("cv2")
    path = folder / f"video.{ending}"
    path.write_bytes(raw)
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (found := capture.read())[0]:
        frames.append(found[1][..., ::-1])
    return np.array(frames)


@pytest.mark.parametrize(("container", "encoder"), CODINGS)
def test_every_coding_gives_the_frames_that_opencv_gives(container, encoder, tmp_path):
    raw = made(container, encoder)
    found = decode_video(raw)
    assert (found.shape, found.dtype) == ((12, 48, 64, 3), np.dtype("uint8"))
    assert np.abs(found.astype(int) - np.array(list(painted(12, 48, 64)))).mean() < 12
    if encoder != "libsvtav1":  # OpenCV is built without a decoder of AV1
        most = 3 if encoder == "prores_ks" else 0  # reduced from 10 bits
        assert np.abs(found.astype(int) - by_opencv(raw, tmp_path, container)).max() <= most


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(lambda: made(parameters="keyint=5:open-gop=1:bframes=3", frames=20), id="open groups"),
        pytest.param(lambda: made("matroska", "libx265", parameters="keyint=5:open-gop=1", frames=20), id="hevc"),
        pytest.param(lambda: made(parameters="keyint=5:intra-refresh=1:bframes=0", frames=20), id="no key frames"),
        pytest.param(lambda: made("avi", "libx264", frames=20), id="no times of showing"),
        pytest.param(lambda: made(times_ms=[0, 40, 41, 500, 520, 3000, 9000, 9010], frames=8), id="uneven"),
        pytest.param(lambda: made(frames=1), id="one frame"),
    ],
)
def test_a_frame_is_the_same_alone_and_in_any_order(raw):
    raw = raw()
    together = decode_video(raw)
    order = np.random.default_rng(1).permutation(len(together))
    with open_video(raw) as video:
        assert len(video) == len(together)
        assert all(np.array_equal(video.decode([int(at)])[0], together[at]) for at in order[:8])
        assert np.array_equal(video.decode(order.tolist()), together[order])
        assert np.array_equal(video.decode([0, 0]), together[[0, 0]])


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_frames_stand_upright(rotation, tmp_path):
    raw = made(rotation=rotation)
    found = decode_video(raw)
    assert np.array_equal(found, by_opencv(raw, tmp_path, "mp4"))
    drawn = np.rot90(np.array(list(painted(12, 48, 64))).astype(int), rotation // 90, axes=(1, 2))
    assert np.abs(found - drawn).mean() < 12
    with open_video(raw) as video:
        assert video.decode([3], size=(20, 30)).shape == (1, 20, 30, 3)


def test_times_are_those_of_showing():
    times = [0, 40, 80, 200, 240, 280, 1000, 1040, 1080, 1120, 1160, 1500]
    with open_video(made(times_ms=times)) as video:
        assert video.times.tolist() == pytest.approx([each / 1000 for each in times])


@pytest.mark.parametrize(("container", "encoder"), [("mp4", "mpeg4"), ("matroska", "ffv1"), ("avi", "mjpeg")])
def test_what_is_cut_off_anywhere_is_said_to_be(container, encoder):
    raw = made(container, encoder)
    for end in (100, len(raw) // 2, len(raw) - 1):
        with pytest.raises(DecodeError) as caught:
            decode_video(raw[:end])
        assert caught.value.rule == "truncated"


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b"", "undecodable"),
        (b"RIFF\x10\0\0\0AVI " + b"\0" * 12, "undecodable"),
        (b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x08moov", "no_video"),
        (b"\x1aE\xdf\xa3\x84webm\x18S\x80g\x80", "undecodable"),
    ],
)
def test_what_is_no_video_is_an_error(raw, rule):
    with pytest.raises(DecodeError) as caught:
        decode_video(raw)
    assert caught.value.rule == rule


def test_limits_are_asked_before_a_frame_is_decoded(plain):
    with pytest.raises(DecodeError, match="64x48 pixels"), open_video(plain, max_pixels=3071):
        pass
    with pytest.raises(DecodeError, match="more than 11 frames"), open_video(plain, max_frames=11):
        pass
    with open_video(plain) as video, pytest.raises(DecodeError, match="frames 0 to 12 are asked of a video of 12"):
        video.decode([0, 12])
    with open_video(plain) as video, pytest.raises(DecodeError, match="take fewer or smaller"):
        video.decode([0], size=(20_000, 20_000))


@pytest.mark.parametrize(
    ("clip", "seed", "expected"),
    [
        (VideoClip(4, 8), 0, [4, 5, 6, 7]),
        (VideoClip(4, 8, place="first"), 0, [0, 1, 2, 3]),
        (VideoClip(4, 8, stride=3, place="first"), 0, [0, 3, 6, 9]),
        (VideoClip(4, 8, frame_rate=12.5, place="first"), 0, [0, 2, 4, 6]),
        (VideoClip(3, 8, frame_rate=50, place="first"), 0, [0, 0, 1]),
        (VideoClip(4, 8, stride=5), 0, [0, 5, 10, 11]),
        (VideoClip(4, 8, stride=5, short="loop"), 0, [0, 5, 10, 0]),
    ],
)
def test_a_clip_takes_these_frames(clip, seed, expected):
    assert clip.numbers(np.arange(12) / 25, seed=seed).tolist() == expected


def test_a_random_clip_follows_the_seed_and_stays_inside():
    clip, times = VideoClip(4, 8, place="random"), np.arange(12) / 25
    starts = [int(clip.numbers(times, seed=seed)[0]) for seed in range(200)]
    assert starts == [int(clip.numbers(times, seed=seed)[0]) for seed in range(200)]
    assert set(starts) == set(range(9))
    with pytest.raises(DecodeError, match="too short"):
        VideoClip(4, 8, stride=5, short="error").numbers(times, seed=0)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (VideoFrames(), list(range(12))),
        (VideoFrames(stride=5), [0, 5, 10]),
        (VideoFrames(frame_rate=5), [0, 5, 10]),
        (VideoFrames(times=(0.0, 0.39, 0.4, 0.47)), [0, 9, 10, 11]),
        (VideoFrames(max_frames=3), [0, 4, 8]),
    ],
)
def test_these_frames_are_taken_of_a_whole_video(frames, expected):
    assert frames.numbers(np.arange(12) / 25).tolist() == expected


def test_what_cannot_be_asked_for_is_refused():
    for wrong in (
        lambda: VideoClip(0, 8), lambda: VideoClip(4, 8, stride=2, frame_rate=3), lambda: VideoClip(4, 8, place="end"),
        lambda: VideoFrames(times=(1.0,), stride=2), lambda: VideoFrames(times=(-1.0,)),
        lambda: VideoFrames(max_frames=0),
    ):  # fmt: skip
        with pytest.raises(FormatError):
            wrong()
    with pytest.raises(DecodeError, match="ends at 0.48 s"):
        VideoFrames(times=(0.5,)).numbers(np.arange(12) / 25)


@pytest.fixture(scope="module")
def published(tmp_path_factory, plain):
    """Four videos of 12, 5, 12 and 1 frames; the third lies on its side."""
    folder = tmp_path_factory.mktemp("videos") / "v1"
    videos = [plain, made(frames=5), made(rotation=90), made(frames=1)]
    rows = pa.table({"entity_id": list("abcd"), "split": ["all"] * 4, "video": videos, "frames": [12, 5, 12, 1]})
    write_dataset(rows, [Field("entity_id", pa.string()), VIDEO, Field("frames", pa.int64())], folder, seed=1)
    return folder / "all"


def test_batches_of_clips_are_one_array(published):
    clip = VideoClip(frames=3, size=(24, 32), place="random")
    with make_reader(published, batch_size=4, decoders={"video": clip}, shuffle=Shuffle(seed=5)) as reader:
        (first,), (second,) = list(reader), list(reader)
    assert (first["video"].shape, first["video"].dtype) == ((4, 3, 24, 32, 3), np.dtype("uint8"))
    assert first["entity_id"] != second["entity_id"] or not np.array_equal(first["video"], second["video"])
    with make_reader(published, batch_size=4, decoders={"video": clip}, shuffle=Shuffle(seed=5)) as reader:
        assert np.array_equal(next(iter(reader))["video"], first["video"])


@pytest.mark.parametrize("pool", ["inline", "threads"])
def test_batches_of_whole_videos_are_lists(published, pool, plain):
    with make_reader(published, batch_size=4, options=ReadOptions(pool=pool)) as reader:
        (batch,) = reader
    assert [len(each) for each in batch["video"]] == batch["frames"].tolist()
    found = dict(zip(batch["entity_id"], batch["video"], strict=True))
    assert np.array_equal(found["a"], decode_video(plain))
    assert found["c"].shape == (12, 64, 48, 3)
    with make_reader(published, batch_size=4, decoders={"video": VideoFrames(stride=4, size=16)}) as reader:
        (batch,) = reader
    assert sorted(each.shape for each in batch["video"]) == [(1, 16, 16, 3), (2, 16, 16, 3)] + [(3, 16, 16, 3)] * 2


def test_a_decoder_is_for_columns_of_its_kind(published):
    from loaders import CenterCrop

    with pytest.raises(FormatError, match="CenterCrop is for columns of codec image"):
        make_reader(published, batch_size=1, decoders={"video": CenterCrop(8)})
    with pytest.raises(FormatError, match="VideoClip is for columns of codec video"):
        make_reader(published, batch_size=1, decoders={"frames": VideoClip(2, 8)})


def test_runs_are_decoded_once_and_in_order(plain):
    with open_video(plain) as video:
        assert video.keys.tolist() == [0, 4, 8]
        found = video.decode([9, 1, 5])
        alone = [video.decode([at])[0] for at in (9, 1, 5)]
    assert all(np.array_equal(one, other) for one, other in zip(found, alone, strict=True))
    assert [bool(np.array_equal(a, b)) for a, b in pairwise(found)] == [False, False]
