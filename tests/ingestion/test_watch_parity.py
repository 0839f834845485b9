"""watch on Spark, as micro-batches of a streaming query: the rows that the embedded engine lands."""

from __future__ import annotations

import pytest

from lakehouse.errors import IngestError
from lakehouse.ingestion.watch import Batches, watch
from tests.ingestion.files import landed, png, put, source
from tests.making import small_lake


@pytest.mark.spark
def test_parity_of_a_watch_also_after_a_batch_that_failed(spark_lake, tmp_path, monkeypatch):
    for number in range(3):
        put(tmp_path / "drop", f"{number}.png", png(number))
    stream = watch(spark_lake, source(tmp_path / "drop"), batches=Batches(max_files=2))
    assert next(stream).counts["stored"] == 2
    with monkeypatch.context() as patched:
        patched.setattr("lakehouse.ingestion.landed.insert", _full)
        with pytest.raises(IngestError, match="disk is full"):
            next(stream)
    on_spark = list(watch(spark_lake, source(tmp_path / "drop"), batches=Batches(max_files=2)))
    assert [receipt.counts["seen"] for receipt in on_spark] == [1, 3]
    assert on_spark[0].engine == "spark"
    with small_lake(tmp_path / "other") as other:
        list(watch(other, source(tmp_path / "drop")))
        columns = "landed_id, path, status, sha256, row_hash"
        assert landed(spark_lake, columns) == landed(other, columns)


def _full(*_args, **_options):
    raise IngestError("the disk is full")
