"""A lake in a folder and one in a bucket are read and exported alike, from one to the other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import lakehouse as lh
from loaders.stores.schemes import open_storage
from tests.buckets.lakes import lake_at, use  # noqa: F401 - a fixture
from tests.exporting.test_export import files_of
from tests.ingestion.files import png, put, source

SQL = "select entity_id, 'all' as label from entities"


def in_storage(url):
    storage = open_storage(url)
    try:
        return {each.name: storage.read_whole(each.name) for each in storage.list()}
    finally:
        storage.close()


@pytest.fixture
def lake(lake_at, tmp_path):  # noqa: F811 - the fixture above
    """A lake with three pictures, in a folder and in a bucket."""
    for number in range(3):
        put(tmp_path / "drop", f"{number}.png", png(number))
    with lh.open_lake(lh.load_config(overrides=[f'lake.root="{lake_at}"', "engine.workers=1"]), create=True) as opened:
        lh.land(opened, source(tmp_path / "drop"))
        lh.entities(opened)
        yield opened


def test_tables_and_bytes_are_read_wherever_the_lake_is(lake):
    now = datetime.now(UTC)
    ids = lake.read_table("silver.entities", columns=["entity_id"], as_of=now)["entity_id"].to_pylist()
    assert len(ids) == 3
    assert lake.read_table("silver.entities", version=1).num_rows == 0
    assert {lake.read_object(each) for each in ids} == {png(number) for number in range(3)}
    with lake.open_object(ids[0], range=(1, 4)) as file:
        assert file.read() == b"PNG"
    with lake.open_object(ids[0]) as file:
        assert file.read() == lake.read_object(ids[0])
    with pytest.raises(lh.PetrelError, match="no entity ffff"):
        lake.read_object("f" * 64)


@pytest.mark.parametrize("format", ["imagefolder", "webdataset"])
def test_an_export_is_the_same_wherever_it_comes_from_and_goes(lake, bucket, tmp_path, monkeypatch, format):
    use(bucket, tmp_path, monkeypatch)
    lake.export(SQL, format=format, to=tmp_path / "out")
    first = lake.export(SQL, format=format, to=f"{bucket.url}/out")
    assert in_storage(f"{bucket.url}/out") == files_of(tmp_path / "out")
    assert first.bytes_written > 0
    assert lake.export(SQL, format=format, to=f"{bucket.url}/out").bytes_written == 0


def test_nothing_is_exported_into_a_lake(lake):
    with pytest.raises(lh.PetrelError, match="the lake .* is there; give a place outside it"):
        lake.export(SQL, format="manifest", to=f"{lake.home}/out")


def test_a_manifest_of_a_bucket_names_the_bucket(lake, tmp_path):
    lake.export(SQL, format="manifest", to=tmp_path / "out")
    lines = (tmp_path / "out" / "manifest.jsonl").read_text()
    start = "file:///" if lake.home.is_local else f"{lake.home}/objects/"
    assert lines.count(f'"uri": "{start}') == 3
