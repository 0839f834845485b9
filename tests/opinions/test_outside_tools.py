"""Files of ours beside tools whose formats they are: `datasets` for Parquet, `motmetrics` for MOT, where installed."""

from __future__ import annotations

import dataclasses
import hashlib
import io

import pytest
from PIL import Image

from lakehouse.opinions.formats.writer import Ontology
from lakehouse.opinions.reading.answer import Region
from tests.opinions.writing import read, regions, said, write

CELLS = Ontology(labels=("RBC", "WBC"), names={"RBC": "RBC", "WBC": "WBC"}, numbers={"RBC": 0, "WBC": 1})
BOX = Region("box", label="WBC", x=1.0, y=2.0, w=3.0, h=4.0)


def png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 6), (1, 2, 3)).save(stream, "PNG")
    return stream.getvalue()


def pictured(*boxes: Region, **more: object):
    found = said(*boxes, name="a.png", size=(8, 6), **more)
    return dataclasses.replace(found, subject=dataclasses.replace(found.subject, content=png, media_type="image/png"))


@pytest.mark.filterwarnings("ignore")
def test_datasets_of_hugging_face_reads_our_parquet_and_we_read_theirs(tmp_path):
    datasets = pytest.importorskip("datasets", reason="needs datasets")
    write("parquet", tmp_path / "out", pictured(BOX), ontology=CELLS)
    (file,) = (tmp_path / "out").rglob("*.parquet")
    found = datasets.Dataset.from_parquet(str(file), cache_dir=str(tmp_path / "cache"))
    row = found[0]
    assert row["image"].size == (8, 6)
    boxes = next(value for key, value in row.items() if isinstance(value, dict) and "bbox" in value)
    assert boxes["bbox"] == [[1.0, 2.0, 3.0, 4.0]]
    found.to_parquet(str(tmp_path / "theirs.parquet"))
    (again,) = read("parquet", tmp_path / "theirs.parquet")
    assert again.subject_key == hashlib.sha256(png()).hexdigest()
    assert [(each.label, each.x, each.y, each.w, each.h) for each in again.value] == [("WBC", 1, 2, 3, 4)]


@pytest.mark.filterwarnings("ignore")
def test_f21_motmetrics_reads_the_same_boxes_of_our_mot(tmp_path):
    motmetrics = pytest.importorskip("motmetrics", reason="needs motmetrics")
    track = [
        dataclasses.replace(BOX, track_id="3", frame_start=frame, frame_end=frame, x=float(frame)) for frame in (0, 1)
    ]
    video = said(*track, name="street.mp4", size=(64, 48))
    video = dataclasses.replace(video, subject=dataclasses.replace(video.subject, media_type="video/mp4"))
    write("mot", tmp_path / "out", video, ontology=CELLS)
    (file,) = (tmp_path / "out").rglob("gt.txt")
    found = motmetrics.io.loadtxt(str(file), fmt="mot15-2D")
    # Frames and ids as the file has them, from 1; pixels from 0.
    assert [(key, list(row[["X", "Y", "Width", "Height"]])) for key, row in found.iterrows()] == [
        ((1, 3), [0, 2, 3, 4]), ((2, 3), [1, 2, 3, 4]),
    ]  # fmt: skip
    assert [(each.x, each.frame_start) for each in regions("mot", tmp_path / "out")] == [(0, 0), (1, 1)]
