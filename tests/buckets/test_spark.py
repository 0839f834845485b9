"""A Spark cluster and a lake in a bucket have nothing in common but the bucket."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.buckets import digits
from tests.buckets.server import Bucket
from tests.buckets.test_canaries import files_below, objects_of
from tests.lanes import examples

IMAGES = examples(20, long=60)
IMPORTS = examples(1, long=4)
"""Files of answers of the demo that are imported."""


def ran(bucket: Bucket, lake: str, pipeline: Path, out: Path, *more: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.buckets.digits", lake, str(pipeline), str(out), *more],
        env=digits.environment(bucket, pipeline.parent), cwd=pipeline.parent, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-6000:])
    found: dict[str, object] = json.loads(out.read_text())
    return found


@pytest.fixture
def folder():
    """A folder with a short name: the sockets of Python's processes lie below TMPDIR, and have 108 bytes for a path."""
    with tempfile.TemporaryDirectory(prefix="s3a-") as made:
        yield Path(made)


@pytest.mark.spark
@pytest.mark.slow
def test_a_cluster_makes_in_a_bucket_what_one_machine_makes_in_a_folder(java_17, bucket, folder):
    driver, workers = folder / "driver", folder / "workers"
    driver.mkdir()
    pipeline = digits.prepare(bucket, driver, images=IMAGES, imports=IMPORTS)
    expected = ran(bucket, str(folder / "lake"), pipeline, folder / "embedded.json")
    found = ran(bucket, f"{bucket.url}/a lake", pipeline, folder / "spark.json", "--workers", str(workers))
    assert found == expected
    assert found["datasets"]
    assert bucket.list_keys("a lake/_tmp") == []
    left = {**files_below(folder), **objects_of(bucket)}
    secrets = (bucket.keys.access.encode(), bucket.keys.secret.encode())
    assert [name for name, content in left.items() if any(each in content for each in secrets)] == []
