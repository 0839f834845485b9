"""Pictures are encoded and placed alike on both engines, byte for byte."""

from __future__ import annotations

import shutil

import pytest

import lakehouse as lh
from loaders import read_dataset
from tests.datasets.test_picture_forms import bring, built
from tests.parity.world import opened


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_parity_pictures_are_encoded_and_moved_alike_on_both_engines(tmp_path):
    found = {}
    with opened(tmp_path / "lake", "embedded") as lake:
        bring(lake, tmp_path / "drop")
        version = built(lake, "masks", size=[30, 60], fit="cover", codec="jpeg")
    for engine in ("embedded", "spark"):
        with opened(tmp_path / "lake", engine) as lake:
            folder = lake.root / lh.materialise(lake, version, fresh=True).details["folder"]
            found[engine] = (
                read_dataset(folder).content_digest,
                {path.name: path.read_bytes() for path in (folder / "test").glob("*.parquet")},
            )
        shutil.rmtree(folder)
    assert found["spark"] == found["embedded"]
