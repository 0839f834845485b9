"""Opening a lake: folders, tables, temporary files of the dead."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lakehouse.config import load_config
from lakehouse.errors import ConfigError
from lakehouse.lake import open_lake
from lakehouse.tables import head, table_path
from schemas.tables import TABLES
from tests.making import Clock, small_lake

KILLED = """
import os, signal, sys
from lakehouse.config import load_config
from lakehouse.lake import open_lake
with open_lake(load_config(overrides=[f'lake.root="{sys.argv[1]}"'], environ={})) as lake:
    (lake.scratch / "half.object").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_new_lake_has_every_table(lake):
    assert [table.name for table in TABLES if not (table_path(lake.root, table) / "_delta_log").is_dir()] == []
    assert lake.root.is_absolute()


def test_opening_again_changes_no_table(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        before = {table.name: head(lake.root, table) for table in TABLES}
    with small_lake(tmp_path / "lake") as lake:
        assert {table.name: head(lake.root, table) for table in TABLES} == before


def test_opening_starts_no_engine(lake):
    assert lake._engine is None


def test_a_relative_root_counts_from_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_lake(load_config(overrides=["lake.root=my lake"], environ={})) as lake:
        assert lake.root == tmp_path / "my lake"


def test_a_lake_can_be_moved(tmp_path):
    with small_lake(tmp_path / "here") as lake:
        before = {table.name: head(lake.root, table) for table in TABLES}
    (tmp_path / "here").rename(tmp_path / "there ü")
    with small_lake(tmp_path / "there ü") as lake:
        assert {table.name: head(lake.root, table) for table in TABLES} == before


def test_a_file_in_the_place_of_the_lake_is_refused_by_name(tmp_path):
    (tmp_path / "lake").write_text("I was here first")
    with pytest.raises(ConfigError, match=r"lake\.root = .*/lake: cannot be a folder of ours"), \
            small_lake(tmp_path / "lake"):
        pytest.fail("opened a file")
    with pytest.raises(ConfigError, match=r"lake\.root"), small_lake(tmp_path / "lake" / "below"):
        pytest.fail("opened a folder below a file")


def test_a_file_in_the_place_of_the_scratch_folder_is_refused_by_name(tmp_path):
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "_tmp").write_text("I was here first")
    with pytest.raises(ConfigError, match=r"lake\.root = .*/lake: cannot be a folder of ours"), \
            small_lake(tmp_path / "lake"):
        pytest.fail("opened without a scratch folder")


def test_an_empty_root_is_refused():
    with pytest.raises(ConfigError, match=r"lake\.root"), open_lake(load_config(overrides=["lake.root="], environ={})):
        pytest.fail("the working directory became a lake")


@pytest.mark.parametrize("root", ["s3://bucket/lake", "hdfs://x/y"])
def test_a_bucket_is_refused_by_name(root):
    with pytest.raises(ConfigError, match="only local folders"), \
            open_lake(load_config(overrides=[f"lake.root={root}"], environ={})):
        pytest.fail("opened a bucket")


def test_an_unknown_engine_is_refused_by_name(tmp_path):
    config = load_config(overrides=[f'lake.root="{tmp_path}"'], environ={})
    with pytest.raises(ConfigError, match="unknown engine `duck`; known: embedded, spark"), \
            open_lake(config, engine="duck") as lake:
        _ = lake.engine


def test_the_scratch_folder_of_a_killed_process_is_removed_and_that_of_a_living_one_is_not(tmp_path):
    root = tmp_path / "lake"
    assert subprocess.run([sys.executable, "-c", KILLED, str(root)], check=False).returncode == -9
    left = [path.name for path in root.glob("_tmp/*/half.object")]
    assert left == ["half.object"]
    with small_lake(root) as first:
        assert list(root.glob("_tmp/*/half.object")) == []
        (first.scratch / "mine").write_text("alive")
        with small_lake(root):
            assert (first.scratch / "mine").read_text() == "alive"
    assert list((root / "_tmp").iterdir()) == []


def test_a_stray_file_among_the_scratch_folders_stops_nobody(tmp_path):
    with small_lake(tmp_path / "lake"):
        pass
    (tmp_path / "lake" / "_tmp" / ".DS_Store").write_text("stray")
    with small_lake(tmp_path / "lake") as lake:
        assert lake.scratch.is_dir()


def test_an_error_inside_leaves_no_scratch_folder(tmp_path):
    with pytest.raises(KeyError), small_lake(tmp_path / "lake") as lake:
        raise KeyError(str(lake.scratch))
    assert list((tmp_path / "lake" / "_tmp").iterdir()) == []


def test_time_comes_from_the_clock_that_was_given(tmp_path):
    clock = Clock()
    with small_lake(tmp_path / "lake", clock=clock) as lake:
        before = lake.clock()
        clock.forward(days=2)
        assert (lake.clock() - before).days == 2


@pytest.mark.parametrize("name", ["a[1]", "50%", "a%20b", "#1", "what?"])
def test_a_folder_that_delta_takes_for_a_url_is_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(ConfigError, match="takes for parts of a URL"), small_lake(tmp_path / name / "lake"):
        pass
    assert not (tmp_path / name).exists()
