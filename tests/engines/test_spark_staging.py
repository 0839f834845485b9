"""What Spark's executors stage in a bucket: found by the driver, removed at the end, and also after a kill."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa

from lakehouse.care.orphans import leftovers
from lakehouse.engines import spark_staging
from lakehouse.engines.commit import append_stored
from lakehouse.engines.parquet import describe_bytes
from lakehouse.engines.protocol import Commit
from lakehouse.engines.spark import DESCRIBED, described_files
from lakehouse.engines.spark_staging import BucketStaging, remove_abandoned
from lakehouse.query import fetch
from lakehouse.tables.read import digest_at, head
from lakehouse.verification.entries import entry_sha256
from lakehouse.verification.facts import commit_facts
from lakehouse.verification.places import place_of
from lakehouse.verification.tables import note_commit, problems
from schemas.tables import ENTITIES
from tests.buckets.lakes import use
from tests.making import add_entities, small_lake

ROWS = pa.table({"a": [1, 2, 3]})


def test_rows_of_the_driver_are_one_object_and_come_back(bucket, tmp_path, monkeypatch):
    with small_lake(use(bucket, tmp_path, monkeypatch)) as lake:
        staging = BucketStaging(lake.home, tmp_path / "scratch")
        staging.put(0, ROWS.to_batches(), ROWS.schema)
        staging.put(1, [], ROWS.schema)
        (file,), (empty,) = staging.files(0), staging.files(1)
        assert staging.location(0) == f"s3a://{bucket.name}/a lake/{file.name.rpartition('/')[0]}"
        with staging.opened(file) as path, staging.opened(empty) as nothing:
            assert pa.parquet.read_table(path) == ROWS
            assert pa.parquet.read_table(nothing).num_rows == 0
        assert list((tmp_path / "scratch").iterdir()) == []
        staging.clear()
        assert list(lake.files.list("_tmp")) == []


def test_what_a_killed_run_left_goes_when_it_was_quiet_for_a_day(bucket, tmp_path, monkeypatch):
    with small_lake(use(bucket, tmp_path, monkeypatch)) as lake:
        staging = BucketStaging(lake.home, tmp_path / "scratch")
        staging.put(0, ROWS.to_batches(), ROWS.schema)
        remove_abandoned(lake.home)
        (file,) = staging.files(0)  # somebody may be at work
        before = lake.files.stat(file.name).modified
        assert before is not None
        assert [each.name for each in leftovers(lake, before=before)] == [file.name]
        assert list(leftovers(lake, before=before - timedelta(seconds=2))) == []
        monkeypatch.setattr(spark_staging, "ABANDONED", timedelta(seconds=-5))
        BucketStaging(lake.home, tmp_path / "scratch")
        assert list(lake.files.list("_tmp")) == []


def test_stored_files_become_a_commit_without_passing_through_the_driver(bucket, tmp_path, monkeypatch):
    with small_lake(use(bucket, tmp_path, monkeypatch)) as lake:
        add_entities(lake, ["a", "b"])
        place, before = place_of(lake.home, ENTITIES), head(lake.home, ENTITIES)
        (name,) = [each.name for each in lake.files.list(place.folder_name) if each.name.endswith(".parquet")]
        lake.files.copy(name, "_tmp/spark-x/stage-0/part-0.parquet")
        names = pa.record_batch({"name": ["_tmp/spark-x/stage-0/part-0.parquet"]})
        (told,) = described_files(iter([names]), home=lake.home)
        assert told.schema == DESCRIBED
        described = describe_bytes(names["name"][0].as_py(), lake.files.read_whole(name))
        assert told.to_pylist()[0]["sha256"] == described.sha256
        held = digest_at(lake, ENTITIES, before)
        commit = Commit(
            app_id="test", schema=ENTITIES.arrow_schema, read_version=before,
            facts=commit_facts(step="test", engine="spark", added=2, digest=held + held, version=before + 1,
                               previous=entry_sha256(place, before), fence=0),
        )  # fmt: skip
        assert append_stored(place.folder, [described], commit) == before + 1
        note_commit(place, before + 1)
        assert fetch(lake, "select count(*) as n from silver.entities") == [{"n": 4}]
        assert list(problems(place, anew=True)) == []
