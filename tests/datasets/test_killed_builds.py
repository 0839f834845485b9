"""kill -9, races and a full disk while a dataset is built and published: nothing half is seen, and one run wins."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable

import lakehouse as lh
from lakehouse.audit.verify import verify as damages
from lakehouse.tables.read import table_path
from loaders import read_dataset, verify
from schemas.tables import DATASET_EXCLUSIONS, DATASET_MEMBERS, DATASETS, MATERIALISATIONS
from tests.datasets.killing import build_and_publish
from tests.lanes import examples
from tests.making import add_entities, add_opinions, entity_id, opinion, small_lake

REPOSITORY = Path(__file__).resolve().parents[2]
KILLS = examples(4, long=60)
RACES = examples(1, long=20)
LIMITS = examples((3_000,), long=(0, 100, 500, 1_000, 1_500, 2_000, 3_000, 4_000, 6_000, 8_000, 12_000))

OLD, NEW = [f"n{number:03}" for number in range(60)], [f"o{number:03}" for number in range(12)]


def add(lake, names) -> None:
    add_entities(lake, names)
    for name in names:
        path = lake.root / "objects" / entity_id(name)[:2] / entity_id(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    add_opinions(lake, [opinion(name, "human:ann", "dog" if name < "n010" else "cat") for name in names])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A lake with a published version, and entities that came later: the next version extends it."""
    root = tmp_path_factory.mktemp("killed") / "lake"
    with small_lake(root) as lake:
        add(lake, OLD)
        build_and_publish(str(root))
        add(lake, NEW)
    return root


@pytest.fixture(scope="module")
def forked():
    """Function that has runs begin together, and returns what became of them."""
    command = [sys.executable, "-m", "tests.datasets.killing"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as server:

        def ask(*runs):
            server.stdin.write(json.dumps(runs) + "\n")
            server.stdin.flush()
            return json.loads(server.stdout.readline())

        yield ask
        server.stdin.close()


@pytest.fixture
def copied(made, tmp_path):
    """Function that makes one more copy of the lake."""
    numbers = iter(range(10_000))

    def copy() -> Path:
        return shutil.copytree(made, tmp_path / f"{next(numbers)}" / "lake")

    return copy


@pytest.fixture(scope="module")
def whole(made, forked, tmp_path_factory):
    """What a run comes to that nobody disturbs: changes of files, seconds, and what is seen after it."""
    root = shutil.copytree(made, tmp_path_factory.mktemp("whole") / "lake")
    begun = time.monotonic()
    [found] = forked({"root": str(root)})
    assert found["status"] == 0
    assert found["changes"] > 50
    return found["changes"], time.monotonic() - begun, seen(root)


def rows_of(root, table):
    return DeltaTable(table_path(root, table)).to_pyarrow_table().to_pylist()


def seen(root: Path) -> dict[str, tuple]:
    """Version id -> what a reader of the lake sees of it; half of anything fails here."""
    members, left = rows_of(root, DATASET_MEMBERS), rows_of(root, DATASET_EXCLUSIONS)
    datasets, published = rows_of(root, DATASETS), rows_of(root, MATERIALISATIONS)
    found = {}
    for row in datasets:
        here = row["dataset_id"]
        assert here not in found, "two rows of one version"
        ids = {each["entity_id"] for each in members if each["dataset_id"] == here}
        assert len(ids) == sum(each["dataset_id"] == here for each in members) == row["members"]
        assert sum(each["dataset_id"] == here for each in left) == row["excluded"]
        folders = [each for each in published if each["dataset_id"] == here]
        assert len(folders) <= 1, "two rows of one folder"
        assert all((root / each["folder"]).is_dir() for each in folders)
        found[here] = (row["members_digest"], tuple(each["content_digest"] for each in folders))
    for folder in (root / "datasets").glob("*/[!.]*"):
        verify(folder)
        assert read_dataset(folder).dataset_id in found
    return found


def mended(root: Path, forked, expected) -> None:
    """The next run comes to what an undisturbed one comes to, and leaves nothing beside it."""
    for path in root.rglob("*.tmp"):
        # What a run left is nobody's after an hour.
        os.utime(path, (0, 0))
    [again] = forked({"root": str(root)})
    assert again["status"] == 0, again
    assert seen(root) == expected
    assert len(list((root / "datasets" / "zoo").iterdir())) == len(expected)
    with small_lake(root) as lake:
        assert list(damages(lake)) == []
        assert lh.fetch(lake, "select count(*) as n from entities") == [{"n": len(OLD) + len(NEW)}]
    left = [path for path in root.rglob("*") if path.is_file() and (path.suffix == ".tmp" or "_tmp" in path.parts)]
    assert left == []


@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_killed_at_any_change_of_files_or_any_moment_shows_nothing_half(copied, forked, whole, number):
    changes, seconds, expected = whole
    root, chance = copied(), random.Random(number)
    before = seen(root)
    # Two of three at a change of files, from the first to the last, the others at any moment.
    at = 1 + number * (changes - 1) // max(KILLS - 1, 1)
    how = {"after_s": chance.uniform(0, seconds)} if number % 3 == 1 else {"at": at}
    [killed] = forked({"root": str(root), **how})
    assert killed["status"] == signal.SIGKILL or "after_s" in how, killed
    between = seen(root)
    assert before.items() <= {id: (one, two) for id, (one, two) in between.items()}.items()
    for id, (digest, folders) in between.items():
        assert (digest, folders) in (expected[id], (expected[id][0], ()))
    mended(root, forked, expected)


@pytest.mark.parametrize("number", range(RACES))
def test_of_two_who_build_and_publish_at_once_one_writes_and_both_have_it(copied, forked, whole, number):
    root = copied()
    both = forked({"root": str(root)}, {"root": str(root)})
    assert [each["status"] for each in both] == [0, 0], both
    builds, published = zip(*(each["told"] for each in both), strict=True)
    assert builds[0]["details"] == builds[1]["details"]
    assert published[0]["details"]["folder"] == published[1]["details"]["folder"]
    of_datasets = [sum(w["rows_new"] for w in each["writes"] if w["table"] == DATASETS.name) for each in builds]
    assert sorted(of_datasets) == [0, 1]
    assert sorted(each["bytes_written"] > 0 for each in published) == [False, True]
    assert seen(root) == whole[-1]
    mended(root, forked, whole[-1])


@pytest.mark.parametrize("most_bytes", LIMITS)
def test_a_full_disk_is_told_by_name_and_what_was_there_is_whole(copied, forked, whole, most_bytes):
    root = copied()
    before = seen(root)
    [found] = forked({"root": str(root), "most_bytes": most_bytes})
    assert found["status"] == 0, found
    assert isinstance(found["told"], str), "nothing was too long"
    assert "File too large" in found["told"], found
    assert before.items() <= seen(root).items()
    mended(root, forked, whole[-1])
