"""What is brought in."""

from __future__ import annotations

import io
import os
import shutil
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from benchmarks.ingest.loops import files_of


@dataclass(frozen=True)
class Workload:
    """What is brought in.

    Attributes:
        name: For people.
        made_by: Name of the function below.
        kind: image, audio or video.
        files: How many.
    """

    name: str
    made_by: str
    kind: str
    files: int

    def make(self, folder: Path) -> None:
        """Write the files."""
        MAKERS[self.made_by](folder, self.files)


def _small_images(folder: Path, count: int) -> None:
    from tests import corpus

    corpus.small_images(folder, count)


def _photos(folder: Path, count: int) -> None:
    from tests import corpus

    corpus.photos(folder, count)


def _digits(folder: Path, count: int) -> None:
    """Copy recordings of spoken digits."""
    folder.mkdir(parents=True)
    for path in islice(files_of(digits_folder()), count):
        shutil.copy(path, folder / path.name)


def _recordings(folder: Path, count: int) -> None:
    """Write WAVs of 10 s, 44.1 kHz, two channels, 16 bits: tones that fade, pauses and noise."""
    import numpy as np
    import soundfile

    folder.mkdir(parents=True)
    rng = np.random.default_rng(7)
    times = np.arange(441_000) / 44_100
    for number in range(count):
        pitch, pause = rng.uniform(80, 2_000, 2), rng.uniform(0, 9)
        sound = np.sin(2 * np.pi * times[:, None] * pitch) * np.exp(-(times % 2.5))[:, None] * 0.5
        sound[(times > pause) & (times < pause + 1)] = 0
        sound += rng.normal(0, 0.002, sound.shape)
        soundfile.write(folder / f"{number:04}.wav", sound, 44_100, subtype="PCM_16")


def _videos(folder: Path, count: int) -> None:
    """Write MP4s of H.264, 640 x 360, 4 s at 25 frames a second: noise and squares that move."""
    import av
    import numpy as np

    folder.mkdir(parents=True)
    rng = np.random.default_rng(7)
    ground = rng.integers(60, 180, (360, 1280, 3), dtype=np.uint8)
    for number in range(count):
        out = io.BytesIO()
        with av.open(out, "w", format="mp4") as file:
            stream = file.add_stream("libx264", rate=25, options={"preset": "ultrafast", "x264-params": "threads=1"})
            stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
            for frame in range(100):
                left = (number * 37 + frame * 5) % 640
                pixels = np.ascontiguousarray(ground[:, left : left + 640])
                pixels[40:120, frame * 5 : frame * 5 + 80] = number * 4 % 256
                file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            file.mux(stream.encode())
        (folder / f"{number:04}.mp4").write_bytes(out.getvalue())


MAKERS = {"small_images": _small_images, "photos": _photos, "digits": _digits, "recordings": _recordings,
          "videos": _videos}  # fmt: skip


def digits_folder() -> Path:
    """Return where recordings of the Free Spoken Digit Dataset are, if they are anywhere."""
    return Path(os.environ.get("PETREL_TEST_DATA", "/nonexistent")) / "fsdd" / "recordings"


def workloads() -> tuple[Workload, ...]:
    """Return what there is to bring in."""
    digits = (Workload("600 spoken digits", "digits", "audio", 600),) if digits_folder().is_dir() else ()
    return (
        Workload("3,000 small images", "small_images", "image", 3_000),
        Workload("30,000 small images", "small_images", "image", 30_000),
        Workload("1,000 photos", "photos", "image", 1_000),
        *digits,
        Workload("100 recordings of 10 s", "recordings", "audio", 100),
        Workload("50 videos of 4 s", "videos", "video", 50),
    )
