"""materialise into a bucket: the same version as in a folder, and never half of one, whoever is killed."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jobs.cli import main
from lakehouse import home
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.materialise.step import materialise
from lakehouse.query import fetch
from lakehouse.status import published
from loaders import CorruptionError, FormatError, make_reader, read_dataset, verify
from tests.buckets.faults import Chance
from tests.buckets.lakes import use
from tests.making import add_entities, entity_id, small_lake

NAMES = [f"n{number}" for number in range(24)]
RECIPE = {"name": "zoo", "split": {"ratios": {"train": 0.5, "test": 0.5}}}
KILLS = 10


def filled(root: str) -> dict[str, str]:
    """Make a lake with 24 entities and one dataset; return the details of its build."""
    with small_lake(root) as lake:
        add_entities(lake, NAMES)
        for name in NAMES:
            lake.files.put(f"objects/{entity_id(name)[:2]}/{entity_id(name)}", name.encode())
        return build(lake, parse_recipe(RECIPE, where="zoo.toml")).details


def below(bucket, folder: str) -> set[str]:
    return {key.removeprefix("a lake/") for key in bucket.list_keys(f"a lake/{folder}")}


def test_a_bucket_has_the_version_that_a_folder_has_and_a_second_run_changes_nothing(
    bucket, tmp_path, monkeypatch, capsys
):
    address, folder = use(bucket, tmp_path, monkeypatch), str(tmp_path / "lake")
    built = {root: filled(root) for root in (address, folder)}
    assert built[address] == built[folder]
    receipts = {}
    for root in (address, folder):
        with small_lake(root) as lake:
            receipts[root] = materialise(lake, "zoo")
            again = materialise(lake, "zoo")
            assert (again.details, again.changed) == (receipts[root].details, False)
            assert published(lake.home) == [("zoo", built[root]["dataset_id"])]
            rows = fetch(lake, "select dataset_id, folder, files, content_digest from gold.materialisations")
            receipts[root] = (receipts[root].details, receipts[root].counts, receipts[root].bytes_written, rows)
    assert receipts[address] == receipts[folder]
    where = receipts[folder][0]["folder"]
    expected = {str(path.relative_to(tmp_path / "lake")) for path in (tmp_path / "lake" / where).rglob("*.*")}
    assert {name for name in below(bucket, "datasets") if "_common" not in name} == expected
    assert verify(f"{address}/{where}").rows == 24
    with (
        make_reader(f"{address}/{where}/train", batch_size=1) as there,
        make_reader(f"{folder}/{where}/train", batch_size=1) as here,
    ):
        assert [batch["text"][0] for batch in there] == [batch["text"][0] for batch in here]
    assert main(["verify", "--lake", address, "--deep"]) == 0
    assert "1 published folders" in capsys.readouterr().out
    part = next(name for name in below(bucket, where) if name.endswith(".parquet"))
    bucket.ask("PUT", f"a lake/{part}", body=b"x" * len(bucket.ask("GET", f"a lake/{part}").body))
    with small_lake(address) as lake, pytest.raises(CorruptionError, match="remove the folder s3://"):
        materialise(lake, "zoo")
    assert main(["verify", "--lake", address]) == 0  # sizes alone
    assert main(["verify", "--lake", address, "--deep"]) == 1
    bucket.ask("DELETE", f"a lake/{where}/_dataset.json")
    assert main(["verify", "--lake", address]) == 1
    with small_lake(address) as lake:
        assert materialise(lake, "zoo").bytes_written > 0
    assert main(["verify", "--lake", address, "--deep"]) == 0


def test_of_runs_killed_at_random_moments_nothing_half_is_seen_and_nothing_is_left(bucket, tmp_path, monkeypatch):
    address = use(bucket, tmp_path, monkeypatch)
    dataset_id = filled(address)["dataset_id"]
    folder, stop, wrong, looks = f"{address}/datasets/zoo/{dataset_id}", threading.Event(), [], []

    def poll() -> None:
        while not stop.is_set():
            try:
                with make_reader(f"{folder}/train", batch_size=1) as reader:
                    rows = sum(1 for _ in reader)
                looks.append(rows)
                if rows != read_dataset(folder).splits["train"].rows:
                    wrong.append(rows)
            except FormatError as error:
                looks.append(0)
                if "is no published dataset" not in str(error):
                    wrong.append(error)
            except Exception as error:
                wrong.append(error)
            time.sleep(0.02)

    lot, poller = random.Random(3), threading.Thread(target=poll)
    poller.start()
    try:
        usual_s = 0.8
        for _ in range(KILLS):
            command = [sys.executable, "-m", "tests.datasets.victim", address, "zoo"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as victim:
                assert victim.stdout is not None
                assert victim.stdout.readline() == "ready\n"
                time.sleep(lot.uniform(0, usual_s))
                victim.kill()
        with small_lake(address, "engine.lock_timeout_s=60") as lake:
            receipt = materialise(lake, "zoo")
    finally:
        stop.set()
        poller.join()
    assert wrong == []
    assert looks
    assert receipt.counts["rows"] == 24
    names = {name.split("/", 3)[3] for name in below(bucket, "datasets")}
    splits = read_dataset(folder).splits
    assert names == {"_dataset.json"} | {
        f"{split}/{name}" for split in splits for name in ("_manifest.json", "_common_metadata", "part-00000.parquet")
    }


def test_a_network_with_faults_publishes_the_same_bytes(bucket, tmp_path, monkeypatch, proxy):
    quiet = use(bucket, tmp_path, monkeypatch)
    filled(quiet)
    with small_lake(quiet) as lake:
        where = materialise(lake, "zoo").details["folder"]
    expected = {key: bucket.ask("GET", key).body for key in bucket.list_keys(f"a lake/{where}")}
    for key in expected:
        bucket.ask("DELETE", key)
    home._storage_at.cache_clear()  # which goes by address alone
    address = use(bucket.through(proxy.endpoint), tmp_path / "other", monkeypatch)
    with proxy.injecting(Chance(("503", "500", "reset", "lost", "late", "cut"), rate=0.2, seed=11)):
        with small_lake(address) as lake:
            materialise(lake, "zoo")
        assert sum(proxy.struck().values()) > 10
    assert {key: bucket.ask("GET", key).body for key in bucket.list_keys(f"a lake/{where}")} == expected
