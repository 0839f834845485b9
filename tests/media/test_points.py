"""Point clouds: what headers say, what is refused, and that a lake takes them."""

from __future__ import annotations

import struct

import numpy as np
import pytest

import lakehouse as lh
from lakehouse.errors import RejectedInputError
from lakehouse.extractors.points_header import measure_points
from lakehouse.media.limits import PointsLimits
from lakehouse.media.points import probe_points
from lakehouse.media.view import EntityView
from lakehouse.query import fetch
from tests.ingestion.files import put, source

XYZ = np.array([[0.0, -1.0, 2.0], [4.0, 1.0, 2.0], [1.0, 0.0, np.nan]], "<f4")


def ply(count: int | str = 3, body: bytes = XYZ.tobytes(), form: str = "binary_little_endian 1.0") -> bytes:
    """A PLY file of float32 x, y and z."""
    fields = "".join(f"property float {axis}\n" for axis in "xyz")
    return f"ply\nformat {form}\ncomment made up\nelement vertex {count}\n{fields}end_header\n".encode() + body


def pcd(data: str = "binary", points: int = 3, body: bytes = XYZ.tobytes(), size: str = "4 4 4") -> bytes:
    """A PCD file of the same."""
    head = (
        f"# .PCD v0.7\nVERSION 0.7\nFIELDS x y z\nSIZE {size}\nTYPE F F F\nCOUNT 1 1 1\nWIDTH {points}\nHEIGHT 1\n"
        f"VIEWPOINT 0 0 0 1 0 0 0\nPOINTS {points}\nDATA {data}\n"
    )
    return head.encode() + body


def las(points: int = 2, *, kind: int = 0, minor: int = 2, held: int = 2) -> bytes:
    """A LAS file; its points are nothing."""
    size = 375 if minor == 4 else 227
    head = bytearray(size)
    head[:4], head[24], head[25] = b"LASF", 1, minor
    struct.pack_into("<HI", head, 94, size, size)
    struct.pack_into("<BHI", head, 104, kind, 20, 0 if minor == 4 else points)
    struct.pack_into("<6d", head, 179, 4.0, 0.0, 1.0, -1.0, 2.0, 2.0)
    if minor == 4:
        struct.pack_into("<Q", head, 247, points)
    return bytes(head) + bytes(20 * held)


BINARY = {"points_count": 3, "points_fields": "x y z", "points_coding": "binary", "points_broken_share": 1 / 3,
          "points_extent_x": 4.0, "points_extent_y": 2.0, "points_extent_z": 0.0}  # fmt: skip
TEXT = {"points_count": 2, "points_fields": "x y z", "points_coding": "ascii"}
STATED = {"points_count": 2, "points_extent_x": 4.0, "points_extent_y": 2.0, "points_extent_z": 0.0}
GOOD = {
    "a.ply": (ply(), BINARY),
    "big.ply": (ply(body=XYZ.astype(">f4").tobytes(), form="binary_big_endian 1.0"), BINARY),
    "text.ply": (ply(2, b"0 0 0\n1 1 1", "ascii 1.0"), TEXT),
    "named.ply": (ply().replace(b"made up", "by Jürgen".encode("latin-1")), BINARY),
    "far.pcd": (pcd(size="8 8 8", points=2, body=np.array([[0, 0, -1.5e308], [4, 0, 1.5e308]]).tobytes()),
                {"points_count": 2, "points_fields": "x y z", "points_coding": "binary", "points_broken_share": 0.0,
                 "points_extent_x": 4.0, "points_extent_y": 0.0}),
    "pairs.pcd": (pcd(points=1, body=bytes(24)).replace(b"COUNT 1 1 1", b"COUNT 2 2 2"),
                  {"points_count": 1, "points_fields": "x y z", "points_coding": "binary"}),
    "a.pcd": (pcd(), BINARY),
    "text.pcd": (pcd("ascii", 2, b"0 0 0\n1 1 1\n"), TEXT),
    "packed.pcd": (pcd("binary_compressed", 3, struct.pack("<II", 4, 36) + b"junk"),
                   {"points_count": 3, "points_fields": "x y z", "points_coding": "packed"}),
    "a.las": (las(), STATED | {"points_fields": "format 0", "points_coding": "binary"}),
    "new.las": (las(minor=4, kind=6), STATED | {"points_fields": "format 6", "points_coding": "binary"}),
    "a.laz": (las(kind=0x83, held=1), STATED | {"points_fields": "format 3", "points_coding": "packed"}),
}  # fmt: skip
BAD = {
    "cut.ply": (ply()[:-1], "truncated"),
    "boast.ply": (ply(150_000_000), "truncated"),
    "many.ply": (ply(10**17), "too_many_points"),
    "minus.ply": (ply("-1"), "undecodable"),
    "odd.ply": (ply(form="binary_middle_endian 1.0"), "undecodable"),
    "headless.ply": (ply()[:60], "undecodable"),
    "endless.ply": (b"ply\nformat ascii 1.0\n" + b"comment x\n" * 100_000, "undecodable"),
    "text_boast.ply": (ply(1000, b"0 0 0\n", "ascii 1.0"), "truncated"),
    "cut.pcd": (pcd()[:-1], "truncated"),
    "odd.pcd": (pcd(size="4 4 3"), "undecodable"),
    "nothing.pcd": (pcd(points=100_000_000, body=b"").replace(b"COUNT 1 1 1", b"COUNT 0 0 0"), "undecodable"),
    "packed.pcd": (pcd("binary_compressed", 3, struct.pack("<II", 4, 1 << 31) + b"junk"), "truncated"),
    "cut.las": (las()[:-1], "truncated"),
    "head.las": (las()[:100], "truncated"),
    "boast.las": (las(1 << 62, minor=4), "truncated"),
    "picture.las": (ply(), "extension_mismatch"),
    "empty.ply": (b"", "empty"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_whole_one_is_taken_and_measured(name):
    data, values = GOOD[name]
    assert probe_points(data, name=name).points == values["points_count"]
    assert measure_points(EntityView(data, media_type="application/x-pointcloud.ply")) == values


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_one_is_refused_with_a_rule(name):
    data, rule = BAD[name]
    with pytest.raises(RejectedInputError) as caught:
        probe_points(data, name=name)
    assert caught.value.rule == rule


def test_every_cut_is_refused():
    for data, _ in GOOD.values():
        if b"ascii" in data or data[104:105] == b"\x83":
            continue  # numbers as text may be shorter, packed points are not looked into
        for end in range(len(data)):
            with pytest.raises(RejectedInputError):
                probe_points(data[:end], name="")


def test_limits_are_those_that_are_set():
    with pytest.raises(RejectedInputError, match="3 points, limit 2"):
        probe_points(ply(), name="", limits=PointsLimits(max_points=2))


def test_a_lake_takes_and_measures_them(lake, tmp_path):
    put(tmp_path / "drop", "a.ply", ply())
    put(tmp_path / "drop", "a.las", las())
    put(tmp_path / "drop", "cut.pcd", pcd()[:-1])
    lh.land(lake, source(tmp_path / "drop"))
    assert lh.entities(lake).counts == {"seen": 3, "stored": 2, "duplicate": 0, "rejected": 1}
    lh.dimensions(lake)
    rows = fetch(lake, "select media_type, points_count, points_extent_x from entities_wide order by media_type")
    assert rows == [
        {"media_type": "application/x-pointcloud.las", "points_count": 2, "points_extent_x": 4.0},
        {"media_type": "application/x-pointcloud.ply", "points_count": 3, "points_extent_x": 4.0},
    ]
