"""Hostile files: pictures and Parquet that claim, or become, far more than they are."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import os
import re
import struct
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from loaders import Field
from loaders.format.manifest import Manifest, PartReceipt
from schemas.digest import Digest

WATCHED = (
    "pickle.find_class", "exec", "compile", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "import",
)  # fmt: skip


def publish_file(table: Any, fields: tuple[Field, ...], folder: Path, **settings: Any) -> Path:
    """Publish any table, as somebody hostile would: nothing of the writer's checks."""
    folder.mkdir(parents=True)
    part = folder / "part-00000.parquet"
    pq.write_table(table, part, write_page_checksum=True, row_group_size=1 << 40, **settings)
    raw, metadata = part.read_bytes(), pq.read_metadata(part)
    footer = int.from_bytes(raw[-8:-4], "little") + 8
    receipt = PartReceipt(
        part.name, len(raw), metadata.num_rows, (metadata.num_rows,), (metadata.row_group(0).total_byte_size,),
        hashlib.sha256(raw).hexdigest(), footer, hashlib.sha256(raw[-footer:]).hexdigest(), "0" * 64,
        Digest(metadata.num_rows, 0, 0),
    )  # fmt: skip
    (folder / "_manifest.json").write_text(Manifest("train", "", 0, fields, (receipt,)).to_json())
    return folder


def claim(folder: Path, **entries: Any) -> Path:
    """Make the manifest claim other things of its part; rows are claimed everywhere."""
    path = folder / "_manifest.json"
    record = json.loads(path.read_text())
    record["parts"][0] |= entries
    if "rows" in entries:
        rows = entries["rows"]
        record["parts"][0] |= {"row_groups": [rows], "digest": str(Digest(rows, 0, 0))}
        record |= {"rows": rows, "content_digest": str(Digest(rows, 0, 0))}
    path.write_text(json.dumps(record))
    return folder


def repeated(value: Any, count: int) -> Any:
    """One value, many times, as a dictionary of one word."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, "i4")), pa.array([value]))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, *more: bytes) -> bytes:
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    tail = _chunk(b"IDAT", zlib.compress(b"\0" * 100)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + tail


def _saved(kind: str, **more: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(stream, kind, **more)
    return stream.getvalue()


def _sized(raw: bytes, old: bytes, new: bytes) -> bytes:
    assert raw.count(old) >= 1, (raw[:40], old)
    return raw.replace(old, new, 1)


def pictures() -> dict[str, bytes]:
    """Pictures that claim or hold far more than a reader may take for them."""
    jpeg, many = _saved("JPEG"), _saved("JPEG", progressive=True)
    scan = many.index(b"\xff\xda")
    tiff, side = _saved("TIFF"), rb"([\x00\x01]\x01[\x03\x04]\x00\x01\x00\x00\x00)\x08\x00\x00\x00"
    frames = [Image.new("P", (200, 200), n % 256) for n in range(300)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:], optimize=False)
    text = zlib.compress(b"\0" * (80 << 20), 6)
    return {
        "png": _png(60_000, 60_000),
        "png of 2^31": _png(2**31 - 1, 2**31 - 1),
        "png text": _png(8, 8, _chunk(b"zTXt", b"a\0\0" + text)),
        "png profile": _png(8, 8, _chunk(b"iCCP", b"a\0\0" + text)),
        "gif": b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + stream.getvalue()[10:],
        "webp": b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0" + b"\0" * 4 + b"\xff\xff\x3f" * 2,
        "tiff": re.sub(side, lambda found: found[1] + struct.pack("<I", 60_000), tiff),
        "jpeg": _sized(jpeg, b"\x00\x08\x00\x08\x03", b"\xff\xf0\xff\xf0\x03"),
        "jpeg scans": many[:scan] + many[scan:-2] * 400 + b"\xff\xd9",
        "bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, 50_000, 50_000, 1, 24, *[0] * 6),
        "ppm": b"P6 60000 60000 255\n" + b"\0" * 100,
        "frames": stream.getvalue(),
    }


class Watch:
    """A transform that writes down what hostile data makes its process do, from the second batch on."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.is_armed = False

    def __reduce__(self) -> Any:
        return Watch, (Path(self.path),)  # not armed yet in a worker process

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        if not self.is_armed:
            self.is_armed = True
            watch(self.path)
        return batch


def watch(path: str) -> None:
    """Write down from now on each event of `WATCHED` in this process."""
    np.ma.masked_array([])  # numpy brings this late
    importlib.import_module("soundfile")  # and the reader this, at the first recording that is no plain WAV
    out = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(out, b"armed\n")

    def note(event: str, args: Any) -> None:
        if event in WATCHED:
            os.write(out, f"{event} {str(args)[:300]!r}\n".encode())

    sys.addaudithook(note)


def read_hostile(folder: str, pool: str, notes: str) -> None:
    """Read every split of a folder in this process, skipping what is bad, and print what it cost: one JSON a line."""
    from loaders import LoaderError, ReadOptions, make_reader

    watcher = Watch(Path(notes))
    splits = sorted(Path(folder).iterdir())
    for split in [splits[0], *splits]:  # the first is good, and brings the imports
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before, began = _peak_mib(), time.monotonic()
        found = "delivered"
        options = ReadOptions(pool=pool, workers=1, prefetch=1, deadline_s=30, on_error="skip")  # type: ignore[arg-type]
        try:
            with make_reader(split, batch_size=1, transform=watcher, options=options) as reader:
                pads = [bool(batch["is_pad"][0]) for batch in reader]
                skipped = [f"{type(error).__name__}: {error}" for error in reader.skipped]
                found = "; ".join(skipped) or f"delivered {pads}"
        except LoaderError as error:
            found = f"{type(error).__name__}: {error}"
        cost = {"split": split.name, "found": found, "seconds": time.monotonic() - began, "mib": _peak_mib() - before}
        sys.stdout.write(json.dumps(cost) + "\n")
        if not watcher.is_armed:
            watcher(dict())


def _peak_mib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) >> 10


if __name__ == "__main__":
    read_hostile(*sys.argv[1:])
