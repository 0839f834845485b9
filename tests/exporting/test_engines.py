"""The Spark engine exports the bytes that the embedded one exports, and reads the same tables."""

from __future__ import annotations

import pytest

from lakehouse.config import load_config
from lakehouse.opening import open_lake
from tests.exporting.conftest import SQL
from tests.exporting.test_export import files_of


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("driver_mb", [0, 64])
def test_both_engines_export_and_read_alike(pictures, tmp_path, driver_mb):
    settings = [f'lake.root="{pictures.root}"', "engine.workers=2", f"engine.driver_mb={driver_mb}"]
    small = {"shard_bytes": 200}
    for selection, format in ((SQL, "webdataset"), ("animals", "imagefolder")):
        pictures.export(selection, format=format, to=tmp_path / "embedded" / format, **small)
    rows = pictures.read_table("silver.entities").sort_by("entity_id")
    wide = pictures.read_table("entities_wide", columns=["entity_id", "width"], where="width = $w", params={"w": 4})
    with open_lake(load_config(overrides=settings, environ={}), engine="spark") as lake:
        for selection, format in ((SQL, "webdataset"), ("animals", "imagefolder")):
            again = lake.export(selection, format=format, to=tmp_path / "embedded" / format, **small)
            assert again.bytes_written == 0
            lake.export(selection, format=format, to=tmp_path / "spark" / format, **small)
        assert lake.read_table("silver.entities").sort_by("entity_id") == rows
        found = lake.read_table("entities_wide", columns=["entity_id", "width"], where="width = $w", params={"w": 4})
        assert found.sort_by("entity_id").to_pylist() == wide.sort_by("entity_id").to_pylist()
    assert files_of(tmp_path / "spark") == files_of(tmp_path / "embedded")
