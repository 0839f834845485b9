"""Broken files of every kind among good ones of five: none stops a run, each has its rule, and the counts balance."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import lakehouse as lh
from lakehouse.query import fetch
from tests.ingestion.files import png, put, source
from tests.loaders.test_arrays_and_texts import npy, npz
from tests.loaders.test_audio import stored, tone
from tests.media.videos import made

GOOD = {
    "image.png": lambda: png(1), "audio.flac": lambda: stored(tone(4000, 1), ("FLAC", "PCM_16")),
    "video.mp4": lambda: made(frames=4), "array.npy": lambda: npy(np.arange(5.0)),
    "text.txt": lambda: "zwei Füße".encode(),
}  # fmt: skip
TYPES = {"image.png": "image/png", "audio.flac": "audio/flac", "video.mp4": "video/mp4",
         "array.npy": "application/x-npy", "text.txt": "text/plain"}  # fmt: skip


def boxed(name: bytes, content: bytes) -> bytes:
    """A box of an MP4."""
    return (8 + len(content)).to_bytes(4, "big") + name + content


FTYP = boxed(b"ftyp", b"isom\0\0\0\0isom")


def deep_boxes() -> bytes:
    """An MP4 whose boxes lie in one another, 2,000 deep."""
    content = b""
    for _ in range(2000):
        content = boxed(b"moov", content)
    return FTYP + content


def claimed_samples(count: int) -> bytes:
    """An MP4 of a few bytes whose index claims many frames."""
    table = boxed(b"stsz", b"\0\0\0\0" + b"\0\0\0\1" + count.to_bytes(4, "big"))
    chunks = boxed(b"stsc", b"\0\0\0\0\0\0\0\1\0\0\0\1" + count.to_bytes(4, "big") + b"\0\0\0\1")
    places = boxed(b"stco", b"\0\0\0\0\0\0\0\1\0\0\0\x40")
    times = boxed(b"stts", b"\0\0\0\0\0\0\0\1" + count.to_bytes(4, "big") + b"\0\0\0\1")
    entry = boxed(b"avc1", bytes(6) + b"\0\1" + bytes(16) + b"\0\x40\0\x30" + bytes(50))
    described = boxed(b"stsd", b"\0\0\0\0\0\0\0\1" + entry)
    media = boxed(b"mdhd", bytes(12) + b"\0\0\x03\xe8" + bytes(8)) + boxed(b"hdlr", bytes(8) + b"vide" + bytes(13))
    index = boxed(b"minf", boxed(b"stbl", described + times + chunks + table + places))
    track = boxed(b"trak", boxed(b"tkhd", bytes(84)) + boxed(b"mdia", media + index))
    return FTYP + boxed(b"moov", boxed(b"mvhd", bytes(100)) + track) + boxed(b"mdat", bytes(100))


def bomb() -> bytes:
    """A .npz file of 30 KB that claims to be 40 MB: within the limit, were it not lowered."""
    return npz(packed=True, x=np.zeros(5_000_000))


def large_picture() -> bytes:
    """A PNG of one colour with many pixels."""
    buffer = io.BytesIO()
    Image.new("1", (5000, 5000)).save(buffer, "PNG")
    return buffer.getvalue()


BAD = {
    "cut.mp4": (lambda: made(frames=4)[:-9], "truncated"),
    "cut.webm": (lambda: made("webm", "libvpx", frames=4)[:-9], "truncated"),
    "cut.avi": (lambda: made("avi", "mjpeg", frames=4)[:-9], "truncated"),
    "head.mkv": (lambda: made("matroska", "ffv1", frames=4)[:300], "truncated"),
    "zeros.mp4": (lambda: FTYP + boxed(b"moov", bytes(500)), "no_video|undecodable"),
    "deep.mp4": (deep_boxes, "no_video|undecodable"),
    "claims.mp4": (lambda: claimed_samples(200_000_000), "undecodable|too_many_frames|too_much_memory|no_video"),
    "sound.mp4": (lambda: made(encoder="", sound=True), "no_video"),
    "huffyuv.avi": (lambda: made("avi", "huffyuv", pixel_format="yuv422p", frames=2), "unsupported_codec"),
    "large.mp4": (lambda: made("mov", "mjpeg", size=(2000, 2000), frames=1), "too_many_pixels"),
    "text.mkv": (lambda: b"no video", "extension_mismatch"),
    "picture.mov": (lambda: png(3), "extension_mismatch"),
    "empty.mp4": (lambda: b"", "empty"),
    "cut.flac": (lambda: stored(tone(4000, 1), ("FLAC", "PCM_16"))[:-20], "truncated|undecodable"),
    "cut.mp3": (lambda: stored(tone(9000, 1), ("MP3", "MPEG_LAYER_III"))[:-300], "truncated|undecodable"),
    "noise.wav": (lambda: bytes(range(1, 256)), "unknown_type"),
    "pickle.npy": (lambda: npy(np.array([{}], dtype=object)), "pickle"),
    "cut.npy": (lambda: npy(np.zeros(9))[:-1], "truncated"),
    "two.npz": (lambda: npz(a=np.zeros(2), b=np.zeros(2)), "several_arrays"),
    "bomb.npz": (bomb, "too_large|undecodable"),
    "raw.npy": (lambda: bytes(range(1, 200)), "unknown_type"),
    "text.npy": (lambda: npy(np.array(["a"])), "unsupported_dtype"),
    "latin.txt": (lambda: "Füße".encode("latin-1"), "undecodable"),
    "binary.txt": (lambda: b"\0\1\2\3" * 9, "undecodable"),
    "large.png": (large_picture, "too_many_pixels"),
    "cut.png": (lambda: png(4)[:-9], "truncated"),
    "page.jpg": (lambda: b"<html>404</html>", "extension_mismatch"),
}
"""Name -> (bytes, rules that may be said of them)."""


@pytest.fixture
def settings():
    """Small limits, so that the files are small too."""
    return ["images.max_pixels=1000000", "video.max_pixels=1000000", "arrays.max_bytes=20000000",
            "video.memory_mb=512", "video.timeout_s=20"]  # fmt: skip


def test_no_broken_file_stops_a_run_and_each_has_its_rule(tmp_path, settings):
    drop = tmp_path / "drop"
    for name, make in GOOD.items():
        put(drop, f"good/{name}", make())
    for name, (make, _) in BAD.items():
        put(drop, f"bad/{name}", make())
    put(drop, "other/data.bin", bytes(range(1, 99)))
    config = lh.load_config(overrides=[f'lake.root="{tmp_path / "lake"}"', *settings], environ={})
    with lh.open_lake(config, create=True) as lake:
        lh.land(lake, source(drop, exclude=()))
        found = lh.entities(lake)
        assert found.counts == {
            "seen": len(GOOD) + len(BAD) + 1, "stored": len(GOOD) + 1, "duplicate": 0, "rejected": len(BAD),
        }  # fmt: skip
        rejected = fetch(lake, "select b.name, r.rule, r.judged_by from silver.rejected r join bronze.landed_files b "
                               "on b.landed_id = r.subject")
        said = {row["name"]: row["rule"] for row in rejected}
        assert {name: rule for name, (_, rules) in BAD.items() if (rule := said[name]) not in rules.split("|")} == {}
        assert all(row["judged_by"] for row in rejected)
        types = fetch(lake, "select s.path, e.media_type from silver.entities e join silver.entity_sources s "
                            "on s.entity_id = e.entity_id")
        assert {row["path"]: row["media_type"] for row in types} == {
            **{f"good/{name}": kind for name, kind in TYPES.items()}, "other/data.bin": "application/octet-stream",
        }  # fmt: skip
        assert lh.dimensions(lake).counts["rejected"] == 0
        assert not lh.entities(lake).changed


@pytest.mark.parametrize("name", GOOD)
def test_every_kind_has_a_preview(name):
    from lakehouse.config import Config
    from lakehouse.media.kinds.registry import judges_of

    judges, data = judges_of(Config()), GOOD[name]()
    kind = judges.of_type(TYPES[name])
    shown = kind.preview(data, TYPES[name], judges.limits[kind.name])
    if kind.name == "text":
        assert shown.decode() == "zwei Füße"
    else:
        picture = Image.open(io.BytesIO(shown))
        assert (picture.format, max(picture.size) <= 512) == ("PNG", True)
        assert len(np.unique(np.asarray(picture))) > 1 or kind.name == "image"


def test_previews_of_arrays_are_of_their_last_axes():
    from lakehouse.media.limits import ArrayLimits
    from lakehouse.media.previews import preview_array

    drawn = np.zeros((3, 40, 30), "f4")
    drawn[0, :20] = 7
    picture = np.asarray(Image.open(io.BytesIO(preview_array(npy(drawn), "application/x-npy", ArrayLimits()))))
    assert (picture.shape, picture[0, 0], picture[30, 0]) == ((40, 30), 255, 0)
    huge, endless = np.array([[1.7e308, -1.7e308]]), np.array([np.nan, np.inf, 1.0])
    for values in (np.zeros((0, 3)), np.float32(4), endless, huge, np.zeros((3000, 3000), "u1")):
        assert preview_array(npy(values), "application/x-npy", ArrayLimits()).startswith(b"\x89PNG")
