"""What is said of a video: as FFmpeg has it, and as OpenCV, which has an FFmpeg of its own, counts it."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pytest

from lakehouse.dimensions.measure import measure
from lakehouse.errors import RejectedInputError
from lakehouse.media import contained
from lakehouse.media.contained import close_openers
from lakehouse.media.limits import VideoLimits
from lakehouse.media.sniff import claimed, sniff
from lakehouse.media.video import probe_video
from lakehouse.media.video_process import sampled_frames
from lakehouse.media.video_view import preview_video
from tests.lanes import examples
from tests.media.videos import CODINGS, made, painted

NAMES = {"libx264": "h264", "libx265": "hevc", "libvpx": "vp8", "libvpx-vp9": "vp9", "libsvtav1": "av1",
         "prores_ks": "prores"}  # fmt: skip
TYPES = {"mp4": "video/mp4", "mov": "video/quicktime", "webm": "video/webm", "matroska": "video/x-matroska",
         "avi": "video/x-msvideo"}  # fmt: skip


def overwritten(raw: bytes) -> bytes:
    """A video whose frames are zeros, and whose index is whole."""
    start = raw.index(b"mdat") + 4
    return raw[:start] + bytes(1000) + raw[start + 1000 :]


def header(raw: bytes, name: str = "") -> dict[str, object]:
    """Every dimension of the header, without what has no value."""
    found = measure(raw, name=name)
    assert not found.rejected
    return {name: value for name, value in found.values.items() if value is not None}


@pytest.mark.parametrize(("container", "encoder"), CODINGS)
def test_the_header_of_every_coding(container, encoder):
    raw = made(container, encoder)
    assert sniff(raw) == TYPES[container]
    found = header(raw)
    assert (found["video_container"], found["video_codec"]) == (container, NAMES.get(encoder, encoder))
    assert (found["video_width"], found["video_height"], found["video_rotation"]) == (64, 48, 0)
    assert (found["video_frames"], found["video_frame_rate_exact"]) == (12, "25/1")
    assert found["video_duration_s"] == pytest.approx(0.48, abs=0.002)
    assert found["video_is_variable_rate"] is False
    assert found["video_bits"] == (10 if encoder == "prores_ks" else 8)
    assert found["video_pixel_format"] == {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le"}.get(encoder, "yuv420p")


def test_what_only_some_videos_have():
    plain = header(made())
    assert not {"video_audio_codec", "video_audio_rate_hz", "video_audio_channels", "video_captured_at"} & set(plain)
    assert plain["video_keyframes"] == 1
    rich = header(made(sound=True, rotation=90, parameters="keyint=4", creation_time="2026-03-04T05:06:07.000000Z"))
    assert (rich["video_width"], rich["video_height"], rich["video_rotation"]) == (48, 64, 90)
    assert (rich["video_audio_codec"], rich["video_audio_rate_hz"], rich["video_audio_channels"]) == ("aac", 8000, 1)
    assert rich["video_captured_at"] == datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    assert rich["video_keyframes"] == 3
    never = made(creation_time="1970-01-01T00:00:00.000000Z")
    assert "video_captured_at" not in header(never)


def test_rates_and_uneven_times():
    film = header(made(rate=Fraction(30000, 1001)))
    assert (film["video_frame_rate_exact"], film["video_is_variable_rate"]) == ("30000/1001", False)
    assert film["video_frame_rate"] == pytest.approx(29.97003, abs=1e-5)
    times = [0, 40, 80, 200, 240, 280, 1000, 1040, 1080, 1120, 1160, 1500]
    uneven = header(made(times_ms=times))
    assert (uneven["video_is_variable_rate"], uneven["video_frames"]) == (True, 12)
    assert uneven["video_duration_s"] == pytest.approx(1.54, abs=0.001)
    assert uneven["video_frame_rate_exact"] == "600/77"
    assert header(made("matroska", "ffv1", rate=30))["video_is_variable_rate"] is False  # a clock of milliseconds


def test_a_video_of_one_frame():
    found = header(made(frames=1))
    assert (found["video_frames"], found["video_keyframes"], found["video_duration_s"]) == (1, 1, 0.04)


def test_counts_are_those_of_opencv(tmp_path):
    cv2 = pytest.importorskip("cv2")
    for container, encoder, more in (("mp4", "libx264", {"rotation": -90}), ("mp4", "mpeg4", {"frames": 7}),
                                     ("avi", "mjpeg", {"rate": 10})):  # fmt: skip
        raw = made(container, encoder, **more)
        path = tmp_path / f"video.{container}"
        path.write_bytes(raw)
        capture, found = cv2.VideoCapture(str(path)), header(raw)
        ok, picture = capture.read()
        assert ok
        assert picture.shape == (found["video_height"], found["video_width"], 3)
        assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == found["video_frames"]
        assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(found["video_frame_rate"])


@pytest.mark.parametrize(
    ("raw", "name", "limits", "rule"),
    [
        (lambda: b"", "a.mp4", {}, "empty"),
        (lambda: made()[:-1], "a.mp4", {}, "truncated"),
        (lambda: made()[:20], "a.mp4", {}, "truncated"),
        (lambda: b"no video at all", "a.mp4", {}, "extension_mismatch"),
        (lambda: bytes(range(256)), "a.mkv", {}, "unknown_type"),
        (made, "a.avi", {}, "extension_mismatch"),
        (made, "a.mp4", {"max_bytes": 100}, "too_large"),
        (made, "a.mp4", {"max_pixels": 3071}, "too_many_pixels"),
        (made, "a.mp4", {"max_frames": 11}, "too_many_frames"),
        (made, "a.mp4", {"max_duration_s": 0.4}, "too_long"),
        (lambda: made("avi", "huffyuv", pixel_format="yuv422p"), "a.avi", {}, "unsupported_codec"),
        (lambda: made(encoder="", sound=True), "a.mp4", {}, "no_video"),
        (lambda: overwritten(made()), "a.mp4", {}, "undecodable"),
    ],
)
def test_what_is_no_video_of_ours_is_rejected_with_its_rule(raw, name, limits, rule):
    with pytest.raises(RejectedInputError) as caught:
        probe_video(raw(), name=name, limits=VideoLimits(**limits))
    assert caught.value.rule == rule


def test_either_ending_may_stand_for_either_of_two_kinds():
    probe_video(made("mov"), name="a.mp4")
    probe_video(made("mp4"), name="a.MOV")
    assert (claimed("a.webm"), claimed("a.mkv")) == ("video/webm", "video/x-matroska")
    probe_video(made("webm", "libvpx-vp9"), name="a.mkv")


def test_how_a_video_looks_and_moves():
    """Made without loss of colour or edge: a black, a white and a black scene of four frames each."""
    scenes = [np.full((48, 64, 3), level, np.uint8) for level in (0, 255, 0) for _ in range(4)]
    found = header(made("matroska", "ffv1", pictures=scenes))
    assert found["video_scene_cuts"] == 2
    assert found["video_brightness"] == pytest.approx(1 / 3, abs=0.01)
    assert found["video_motion"] == pytest.approx(2 / 11, abs=0.01)
    assert found["video_sharpness"] == 0
    assert (found["video_sampled_frames"], found["video_sampling_s"]) == (12, pytest.approx(0.04))
    still = header(made("matroska", "ffv1", pictures=[next(painted(1, 48, 64))] * 40))
    assert (still["video_motion"], still["video_scene_cuts"], still["video_sampled_frames"]) == (0, 0, 32)
    assert still["video_sharpness"] > 100
    moving = header(made("matroska", "ffv1"))
    assert 0.001 < moving["video_motion"] < 0.1
    assert moving["video_scene_cuts"] == 0


def test_a_single_frame_has_no_motion():
    found = header(made(frames=1))
    assert not {"video_motion", "video_scene_cuts", "video_sampling_s"} & set(found)


def test_a_preview_is_a_small_picture_of_the_middle():
    from io import BytesIO

    from PIL import Image

    found = Image.open(BytesIO(preview_video(made(size=(96, 1024), rotation=90), "video/mp4", VideoLimits())))
    assert (found.format, found.size) == ("PNG", (48, 512))


@pytest.fixture
def openers():
    """Ends the process that opens videos, so that what a test made of it is nobody else's."""
    close_openers()
    yield
    close_openers()


def rule_of(raw: bytes, **limits: float) -> tuple[str, str]:
    """Rule and reason of the rejection."""
    with pytest.raises(RejectedInputError) as caught:
        probe_video(raw, name="a.mp4", limits=VideoLimits(**limits))
    return caught.value.rule, caught.value.reason


def test_what_takes_too_long_is_stopped(openers):
    assert rule_of(made(), timeout_s=0.001) == ("timed_out", "it took more than 0.001 s to look into")
    assert probe_video(made(), name="a.mp4").header.frames == 12


def test_what_takes_too_much_memory_is_refused_and_the_next_is_looked_into(openers):
    rule, _ = rule_of(made(encoder="mjpeg", size=(4000, 4000), frames=1, container="mov"), memory_mb=16)
    assert rule == "too_much_memory"
    assert probe_video(made(), name="a.mp4", limits=VideoLimits(memory_mb=16)).header.frames == 12


def test_one_process_looks_into_many_videos_within_the_same_memory(openers):
    limits, raws = VideoLimits(memory_mb=128), [made(frames=9), made("webm", "libvpx", frames=9)]
    for _ in range(30):
        for raw in raws:
            assert len(contained.look(raw, limits, want="sample", most=32).frames) == 9
    assert len(contained._OPENERS) == 1


def test_a_decoder_that_crashes_costs_one_file(openers, monkeypatch):
    raw = made()
    monkeypatch.setattr(contained, "BOOT", "import os; os.abort()")
    assert rule_of(raw) == ("undecodable", "the decoder crashed (SIGABRT)")
    monkeypatch.undo()
    assert probe_video(raw, name="a.mp4").header.frames == 12


def test_a_process_that_ended_for_want_of_work_is_started_again(openers):
    probe_video(made(), name="a.mp4")
    (opener,) = contained._OPENERS.values()
    opener._process.stdin.close()
    assert opener._process.wait() == 0
    assert probe_video(made(), name="a.mp4").header.frames == 12


def test_an_answer_that_nobody_waited_for_is_not_that_of_the_next_video(openers, monkeypatch):
    long, short = made(frames=12), made(frames=5)
    read = contained._Opener._read

    def interrupted(self, process, count, *rest):
        if count == contained.LENGTH:
            raise KeyboardInterrupt
        return read(self, process, count, *rest)

    monkeypatch.setattr(contained._Opener, "_read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        probe_video(long, name="a.mp4")
    monkeypatch.undo()
    assert probe_video(short, name="a.mp4").header.frames == 5


def test_damaged_videos_are_read_or_refused_and_harm_nobody():
    """Bytes of whole videos, changed at random: each is taken, or refused with a rule, and the process lives on."""
    draw = np.random.default_rng(11)
    outcomes = set()
    for container, encoder in (("mp4", "libx264"), ("webm", "libvpx-vp9"), ("matroska", "ffv1"), ("avi", "mpeg4")):
        raw = made(container, encoder, frames=6)
        for _ in range(examples(8, long=300)):
            octets = bytearray(raw)
            for at in draw.integers(0, len(raw), draw.integers(1, 9)):
                octets[at] = draw.integers(0, 256)
            try:
                probe_video(bytes(octets), name="", limits=VideoLimits(timeout_s=20))
                outcomes.add("taken")
            except RejectedInputError as error:
                outcomes.add(error.rule)
    assert "taken" in outcomes
    assert not outcomes & {"timed_out", "too_much_memory"}


@pytest.mark.parametrize(
    ("frames", "keys", "expected"),
    [
        (3, [0], [0, 1, 2]), (8, [0], [0, 2, 4, 6]), (8, [0, 3, 5], [0, 2, 3, 5]),
        (100, [0, 20, 24, 74], [0, 24, 50, 74]), (100, [], [0, 25, 50, 75]),
    ],
)  # fmt: skip
def test_a_sample_of_frames_prefers_keys(frames, keys, expected):
    assert sampled_frames(frames, np.array(keys, dtype=np.int64), 4) == expected
