"""Plain loops over files, in one process: what a script does that keeps no tables.

Every loop does per file what the lake does with its bytes: read, SHA-256, a temporary file, fsync, rename; and then one
of two ways to check and measure. Answers are kept in a list: no tables, no provenance, no recovery, no second run.

    plain   checks as the lake does and measures with its extractors: the same decodes, and the same numbers
    lean    decodes every file once, with Pillow, soundfile or PyAV alone, and measures a few things of it:
            picture     size, mode, orientation; of a picture reduced to 512 px brightness, contrast, sharpness,
                        colourfulness, entropy, dhash; no look for damage that Pillow overlooks
            recording   rate, channels, frames, duration, rms, peak, share of silence; no spectrum, no loudness
            video       size, codec, rate, frames by decoding all of them, mean luma of 32 of these; in this process,
                        with as many threads as FFmpeg likes
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Measure = Callable[[bytes, str], dict[str, Any]]


def loop(folder: Path, out: Path, measure: Measure) -> int:
    """Hash, copy, check and measure every file, one after the other; returns how many."""
    measured = []
    for path in files_of(folder):
        data = path.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        _store(out, sha256, data)
        measured.append({"sha256": sha256, **measure(data, path.name)})
    for place in out.iterdir():
        _sync_folder(place)
    return len(measured)


def files_of(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder, by name."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield Path(place, name)


def plain() -> Measure:
    """Return what checks and measures as the lake does."""
    from lakehouse.config import load_config
    from lakehouse.extractors.registry import extractors
    from lakehouse.media.kinds.registry import judges_of

    judges = judges_of(load_config())
    measures = extractors()

    def measure(data: bytes, name: str) -> dict[str, Any]:
        kind = judges.kind_of(data, name)
        assert kind is not None, name
        facts = kind.probe(data, name=name, limits=judges.limits[kind.name])
        view = judges.view(data, facts.media_type)
        found: dict[str, Any] = {"media_type": facts.media_type}
        for each in measures:
            if facts.media_type.startswith(each.media_types):
                found |= each.function(view)
        return found

    return measure


def lean(kind: str) -> Measure:
    """Return what decodes once and measures a few things."""
    return {"image": _lean_picture, "audio": _lean_recording, "video": _lean_video}[kind]


def _lean_picture(data: bytes, name: str) -> dict[str, Any]:
    import numpy as np
    from PIL import Image

    from lakehouse.extractors.image_pixels import colourfulness, dhash, entropy, sharpness

    image = Image.open(io.BytesIO(data))
    image.load()
    header = {"width": image.width, "height": image.height, "mode": image.mode, "format": image.format,
              "orientation": image.getexif().get(0x0112)}
    rgb = image.convert("RGB")
    if max(rgb.size) > 512:
        rgb = rgb.reduce(-(-max(rgb.size) // 512))
    luma = rgb.convert("L")
    y, histogram = np.asarray(luma), np.array(luma.histogram(), dtype=np.int64)
    return {**header, "brightness": float(y.mean()), "contrast": float(y.std()), "sharpness": sharpness(y),
            "colourfulness": colourfulness(np.asarray(rgb)), "entropy": entropy(histogram), "dhash": dhash(luma)}


def _lean_recording(data: bytes, name: str) -> dict[str, Any]:
    import numpy as np
    import soundfile

    with soundfile.SoundFile(io.BytesIO(data)) as file:
        samples = file.read(dtype="float32", always_2d=True)  # (frames, channels)
        header = {"rate": file.samplerate, "channels": file.channels, "frames": len(samples), "subtype": file.subtype,
                  "duration_s": len(samples) / file.samplerate}
    power = np.square(samples, dtype=np.float64).mean(axis=1)
    return {**header, "rms": float(np.sqrt(power.mean())), "peak": float(np.abs(samples).max()),
            "silence": float((power < 1e-6).mean())}


def _lean_video(data: bytes, name: str) -> dict[str, Any]:
    import av
    import numpy as np

    with av.open(io.BytesIO(data)) as file:
        stream = file.streams.video[0]
        stream.thread_type = "AUTO"
        frames = [frame.to_ndarray(format="gray") if number % 4 == 0 else None
                  for number, frame in enumerate(file.decode(stream))]  # fmt: skip
        luma = [frame for frame in frames if frame is not None][:32]
        return {"width": stream.width, "height": stream.height, "codec": stream.codec_context.name,
                "rate": float(stream.average_rate or 0), "frames": len(frames), "brightness": float(np.mean(luma))}


def _store(out: Path, sha256: str, data: bytes) -> None:
    place = out / sha256[:2]
    if (place / sha256).exists():
        return
    place.mkdir(parents=True, exist_ok=True)
    temporary = place / f"{sha256}.tmp"
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(place / sha256)


def _sync_folder(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
