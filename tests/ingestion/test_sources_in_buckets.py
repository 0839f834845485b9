"""Archives, shards and manifests in a bucket: read by ranges or as streams, refused and counted as in a folder."""

from __future__ import annotations

import os

import pytest

from lakehouse.ingestion.containers import reading
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from tests.buckets.lakes import use
from tests.ingestion.files import landed, png, put
from tests.ingestion.packed import tar, zipped
from tests.making import small_lake

ZERO = {"seen": 0, "stored": 0, "duplicate": 0, "refused": 0, "unchanged": 0}
GOOD = [("a/1.png", png(1)), ("ä b.png", png(2))]


@pytest.fixture
def local(bucket, tmp_path, monkeypatch):
    """A lake in a folder, with a bucket beside it."""
    use(bucket, tmp_path, monkeypatch)
    with small_lake(tmp_path / "lake") as opened:
        yield opened


def fill(bucket, objects):
    store = bucket.store()
    for name, data in objects.items():
        store.put(f"drop/{name}", data, use_multipart=False)


def test_archives_in_a_bucket_are_landed_as_those_in_a_folder(local, bucket):
    fill(bucket, {"x.tar.gz": tar(GOOD, mode="w:gz"), "y.zip": zipped([*GOOD, ("../up.png", b"1")]),
                  "z.tar": tar(GOOD)[:1400], "not.bin": b"no archive"})  # fmt: skip
    chosen = Source(name="photos", folder=f"{bucket.url}/drop", form="archives")
    assert land(local, chosen).counts == ZERO | {"seen": 8, "stored": 2, "duplicate": 3, "refused": 3}
    rows = {(row["path"], row["rule"]): row for row in landed(local, "path, uri, rule, container_uri, etag")}
    assert rows["y.zip!/ä b.png", None]["uri"] == f"{bucket.url}/drop/y.zip!/%C3%A4%20b.png"
    assert rows["y.zip!/ä b.png", None]["container_uri"] == f"{bucket.url}/drop/y.zip"
    assert ("y.zip!/../up.png", "unsafe_name") in rows
    assert rows["z.tar", "archive_broken"]["etag"]
    assert land(local, chosen).counts == ZERO | {"seen": 8, "duplicate": 1, "refused": 3, "unchanged": 4}


def test_of_a_zip_only_the_ranges_that_are_wanted_are_read(local, bucket, monkeypatch):
    large = ("large.bin", os.urandom(3 << 20))
    fill(bucket, {"x.zip": zipped([large, *GOOD], kind=0)})
    monkeypatch.setattr(reading, "AHEAD_BYTES", 1 << 14)
    read = []
    keep = reading._Ranges.readinto

    def counting(self, buffer):
        read.append(keep(self, buffer))
        return read[-1]

    monkeypatch.setattr(reading._Ranges, "readinto", counting)
    one = Source(name="photos", folder=f"{bucket.url}/drop/x.zip", form="archives", include=("*.png",))
    assert land(local, one).counts == ZERO | {"seen": 2, "stored": 2}
    assert 0 < sum(read) < 1 << 20


def test_a_manifest_links_to_several_stores_and_a_missing_link_stops_nothing(local, bucket, tmp_path):
    fill(bucket, {"a.png": png(1), "b.png": png(2)})
    put(tmp_path / "drop", "c.png", png(3))
    lines = [f"{bucket.url}/drop/a.png", f"{bucket.url}/drop/gone.png", "c.png", f"{bucket.url}/other/x.png",
             "nowhere://x/y.png"]  # fmt: skip
    path = put(tmp_path / "drop", "files.csv", "\n".join(["uri", *lines]).encode())
    for mode in ("link", "copy"):
        chosen = Source(name=mode, folder=str(path), form="manifest", mode=mode,
                        options={"allow": [f"{bucket.url}/drop", "nowhere://x"]})  # fmt: skip
        assert land(local, chosen).counts == ZERO | {"seen": 5, "stored": 2, "refused": 3}
    rules = {row["path"]: row["rule"] for row in landed(local) if row["rule"]}
    assert sorted(rules.values()) == ["bad_record", "missing_link", "not_allowed"]
    fill(bucket, {"files.jsonl": b'{"uri": "b.png"}\n{"uri": "../b.png"}\n'})
    beside = Source(name="beside", folder=f"{bucket.url}/drop/files.jsonl", form="manifest", mode="link")
    assert land(local, beside).counts == ZERO | {"seen": 2, "stored": 1, "refused": 1}
