"""Files to try the lake with: good images of every format, photos, small images, and inputs that mean harm.

Everything is made from a seed; nothing is downloaded.
"""

from __future__ import annotations

import io
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

HOSTILE_SETTINGS = ("images.max_bytes=4194304", "images.max_frames=100", "images.max_pixels=16000000")
"""Limits under which `hostile_inputs` have the outcomes they state: small, so that the corpus is small too."""

IGNORED, DUPLICATE = "ignored", "duplicate"


@dataclass(frozen=True, slots=True)
class Hostile:
    """One hostile input.

    Attributes:
        path: Where it is, as bytes: not every name is text.
        outcome: `duplicate` (only the name is odd, the bytes are those of a good image), `ignored` (never seen), or
            the rule that refuses or rejects it.
    """

    path: bytes
    outcome: str


# ------------------------------------------------------------------------------------------------ good images


def good_images(folder: Path, count: int, *, seed: int = 0) -> list[Path]:
    """Write `count` distinct images of nine formats into three class folders; returns their paths."""
    rng = np.random.default_rng(seed)
    paths = []
    for number in range(count):
        make, extension = _GOOD[number % len(_GOOD)]
        path = folder / ("ant", "bee", "cat")[number % 3] / f"{number:05}.{extension}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make(rng))
        paths.append(path)
    return paths


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return an image as a file of Pillow's format `kind`."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def picture(rng: np.random.Generator, *, width: int = 40, height: int = 30, mode: str = "RGB") -> Image.Image:
    """Return a picture of soft shapes and some noise; no two are alike."""
    coarse = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    soft = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    noisy = soft + rng.integers(-9, 10, soft.shape, dtype=np.int16)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).convert(mode)


def animation(rng: np.random.Generator, frames: int) -> bytes:
    """Return an animated GIF."""
    first, *rest = (picture(rng, width=16, height=12, mode="P") for _ in range(frames))
    return encoded(first, "GIF", save_all=True, append_images=rest, duration=40)


_GOOD: tuple[tuple[Callable[[np.random.Generator], bytes], str], ...] = (
    (lambda rng: encoded(picture(rng), "JPEG", quality=85), "jpg"),
    (lambda rng: encoded(picture(rng), "PNG"), "png"),
    (lambda rng: encoded(picture(rng, mode="L"), "PNG"), "png"),
    (lambda rng: encoded(picture(rng, mode="RGBA"), "PNG"), "png"),
    (lambda rng: encoded(picture(rng, mode="P"), "PNG"), "png"),
    (lambda rng: encoded(picture(rng), "WEBP", quality=80), "webp"),
    (lambda rng: encoded(picture(rng), "BMP"), "bmp"),
    (lambda rng: encoded(picture(rng), "TIFF"), "tiff"),
    (lambda rng: encoded(picture(rng, mode="CMYK"), "JPEG"), "jpeg"),
    (lambda rng: encoded(picture(rng), "PPM"), "ppm"),
    (lambda rng: animation(rng, 3), "gif"),
)


# ------------------------------------------------------------------------------------------------ for benchmarks


def photos(folder: Path, count: int, *, seed: int = 0) -> None:
    """Write `count` JPEGs of 640 x 480 that compress like photos, about 100 KB each."""
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 8, (960, 1280)).astype(np.float32)
    for number in range(count):
        top, left = (int(rng.integers(0, limit)) for limit in (480, 640))
        coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
        scene = np.asarray(coarse.resize((640, 480), Image.Resampling.BICUBIC)).astype(np.float32)
        scene[int(rng.integers(80, 400)) :] *= rng.uniform(0.5, 0.9)  # a horizon
        scene += grain[top : top + 480, left : left + 640, None]
        _write(folder, number, "jpg", encoded(Image.fromarray(_bytes(scene)), "JPEG", quality=90))


def small_images(folder: Path, count: int, *, seed: int = 0) -> None:
    """Write `count` PNGs of 32 x 32, about 2.5 KB each, a thousand to a folder."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        _write(folder, number, "png", encoded(picture(rng, width=32, height=32), "PNG", compress_level=1))


def _write(folder: Path, number: int, extension: str, data: bytes) -> None:
    path = folder / f"{number // 1000:03}" / f"{number:06}.{extension}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _bytes(scene: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    return scene.clip(0, 255).astype(np.uint8)


# ------------------------------------------------------------------------------------------------ hostile inputs


ODD_NAMES: tuple[bytes, ...] = (
    b"new\nline.png",
    b"tab\tand\x01control\x7f.png",
    b"not-utf8-\xff\xfe.png",
    b"lone-surrogate-\xed\xa0\x80.png",
    b"n" * 251 + b".png",
    "é-composed.png".encode(),
    "e\u0301-composed.png".encode(),
    b"--help.png",
    b" leading and trailing .png",
    b"quote'\"`.png",
    b"up-..%2f..%2fescape.png",
    b"percent%00%n%s%.png",
    b"back\\slash\\..\\name.png",
    b"CON.png",
    b"$(touch owned);&|.png",
    b"'; drop table entities; --.png",
    b"glob[*?]{a,b}.png",
    "right-to-left-\u202egnp.exe.png".encode(),
    "zero\u200bwidth-\U0001f9ea.png".encode(),
    b"UPPER.PNG",
    b"upper.png",
    b"no_extension",
)
"""Names that break programs which take them for text, paths, options, patterns or code."""


def hostile_inputs(folder: Path, good: Path, *, outside: Path, seed: int = 1) -> list[Hostile]:
    """Write the hostile corpus into `folder`.

    Args:
        folder: Where to.
        good: A good PNG that is landed as well: what only has an odd name has its bytes.
        outside: Folder that is not landed; links in `folder` lead to it.
        seed: For the pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place, made = os.fsencode(folder), []

    def add(name: bytes, data: bytes, outcome: str) -> None:
        path = os.path.join(place, name)
        with open(path, "xb") as file:
            file.write(data)
        made.append(Hostile(path, outcome))

    for name in ODD_NAMES:
        add(name, good.read_bytes(), DUPLICATE)
    for name, data, outcome in _bad_content(np.random.default_rng(seed)):
        add(os.fsencode(name), data, outcome)
    add(b".hidden.png", good.read_bytes(), IGNORED)
    add(b"notes.txt", b"not an image, and not said to be one\n", IGNORED)
    made.extend(_special_files(folder, good, outside))
    return made


def bomb_png(width: int, height: int) -> bytes:
    """Return a PNG that declares a size and holds one byte of pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"\0")) + _chunk(b"IEND", b"")


def bomb_jpeg(data: bytes, width: int, height: int) -> bytes:
    """Return a JPEG whose frame header declares another size."""
    start = data.index(b"\xff\xc0")
    return data[: start + 5] + struct.pack(">HH", height, width) + data[start + 9 :]


def _bad_content(rng: np.random.Generator) -> Iterator[tuple[str, bytes, str]]:
    png, jpeg = encoded(picture(rng), "PNG"), encoded(picture(rng, width=200, height=150), "JPEG", quality=90)
    gif, webp = animation(rng, 2), encoded(picture(rng), "WEBP")
    bmp, tiff = encoded(picture(rng), "BMP"), encoded(picture(rng), "TIFF", compression="tiff_lzw")
    yield "empty.png", b"", "empty"
    for percent in (1, 50, 99):
        yield f"cut_at_{percent}.png", png[: len(png) * percent // 100], "truncated"
    for percent in (10, 50, 90, 99):
        yield f"cut_at_{percent}.jpg", jpeg[: len(jpeg) * percent // 100], "truncated"
    yield "cut.gif", gif[: len(gif) // 2], "truncated"
    yield "cut.webp", webp[: len(webp) // 2], "truncated"
    yield "cut.bmp", bmp[: len(bmp) // 2], "truncated"
    yield "cut.tiff", tiff[: len(tiff) // 2], "truncated"
    middle = len(png) // 2
    yield "flipped.png", png[:middle] + bytes((png[middle] ^ 0x10,)) + png[middle + 1 :], "undecodable"
    yield "only_a_header.gif", b"GIF89a\x10\0\x10\0\0\0\0;", "undecodable"
    yield "png_called.jpg", encoded(picture(rng), "PNG"), "extension_mismatch"
    yield "page_called.jpg", b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "extension_mismatch"
    yield "text_called.jpeg", b"this is text\n", "extension_mismatch"
    yield "zip_called.png", _zip(), "extension_mismatch"
    yield "script_called.gif", b"#!/bin/sh\nrm -rf /\n", "extension_mismatch"
    yield "noise.png", b"\xf5" + rng.bytes(4000), "unknown_type"
    yield "zeros.webp", bytes(4096), "unknown_type"
    yield "program", b"\x7fELF" + rng.bytes(500), "unknown_type"
    yield "archive_with_dotdot.zip", _zip("../../escape.png"), "unknown_type"
    yield "drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", \
        "unsupported_media"
    yield "claims_4_gb.wav", b"RIFF" + b"\xff" * 4 + b"WAVEfmt " + bytes(20), "unsupported_media"
    yield "no_moov.mp4", b"\0\0\0\x18ftypisom" + bytes(200), "unsupported_media"
    yield "bomb.png", bomb_png(50_000, 50_000), "too_many_pixels"
    yield "largest.png", bomb_png(2**31 - 1, 2**31 - 1), "too_many_pixels"
    yield "bomb.jpg", bomb_jpeg(jpeg, 65_000, 65_000), "too_many_pixels"
    yield "bomb.gif", gif[:6] + struct.pack("<HH", 65_535, 65_535) + gif[10:], "too_many_pixels"
    yield "too_many_frames.gif", animation(rng, 101), "too_many_frames"
    yield "too_large.bmp", encoded(Image.fromarray(rng.integers(0, 256, (1200, 1200, 3), dtype=np.uint8)), "BMP"), \
        "too_large"


def _special_files(folder: Path, good: Path, outside: Path) -> Iterator[Hostile]:
    outside.mkdir(parents=True, exist_ok=True)
    (outside / "secret.png").write_bytes(b"not to be read")

    def hostile(name: str, outcome: str) -> Hostile:
        return Hostile(os.fsencode(folder / name), outcome)

    for name, target in (
        ("link_to_file.png", outside / "secret.png"), ("link_to_folder", outside), ("link_up", folder.parent),
        ("dangling.png", folder / "nothing"), ("loop.png", folder / "loop.png"),
        ("link_to_device.png", Path("/dev/zero")),
    ):
        (folder / name).symlink_to(target)
        yield hostile(name, "symlink")
    os.link(good, folder / "hard_link.png")
    yield hostile("hard_link.png", DUPLICATE)
    os.mkfifo(folder / "pipe.png")
    yield hostile("pipe.png", "not_a_regular_file")
    with socket.socket(socket.AF_UNIX) as server:
        # The path of a socket may have 108 bytes: bound through the folder's descriptor.
        descriptor = os.open(folder, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{descriptor}/socket.png")
        os.close(descriptor)
    yield hostile("socket.png", "not_a_regular_file")
    (folder / "folder_called.png").mkdir()
    yield hostile("folder_called.png", IGNORED)
    (folder / "unreadable.png").write_bytes(good.read_bytes())
    (folder / "unreadable.png").chmod(0)
    yield hostile("unreadable.png", DUPLICATE if os.access(folder / "unreadable.png", os.R_OK) else "unreadable")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _zip(name: str = "page.html") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "hello")
    return buffer.getvalue()
