"""Opening a lake: folders, tables, temporary files of the dead."""

from __future__ import annotations

import importlib
import inspect
import json
import shutil
import subprocess
import sys

import pytest

import lakehouse as lh
from lakehouse.config import load_config
from lakehouse.dimensions.step import dimensions
from lakehouse.errors import ConfigError, TableError, TableNotFoundError
from lakehouse.materialise.step import materialise
from lakehouse.opening import open_lake
from lakehouse.opinions.step import opinions
from lakehouse.tables.read import head, table_path
from schemas.tables import TABLES
from tests.making import Clock, small_lake

KILLED = """
import os, signal, sys
from lakehouse.config import load_config
from lakehouse.opening import open_lake
with open_lake(load_config(overrides=[f'lake.root="{sys.argv[1]}"'], environ={}), create=True) as lake:
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
    with open_lake(load_config(overrides=["lake.root=my lake"], environ={}), create=True) as lake:
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
    with pytest.raises(ConfigError, match=r"lake\.root"), \
            open_lake(load_config(overrides=["lake.root="], environ={}), create=True):
        pytest.fail("the working directory became a lake")


@pytest.mark.parametrize("root", ["https://host/lake", "hdfs://x/y"])
def test_a_storage_that_is_only_read_from_is_refused_by_name(root):
    with pytest.raises(ConfigError, match="is only read from; give a folder, or a URL in a bucket"), \
            open_lake(load_config(overrides=[f"lake.root={root}"], environ={}), create=True):
        pytest.fail("opened a bucket")


def test_an_unknown_engine_is_refused_by_name(tmp_path):
    config = load_config(overrides=[f'lake.root="{tmp_path}"'], environ={})
    with pytest.raises(ConfigError, match="unknown engine `duck`; known: embedded, spark"), \
            open_lake(config, engine="duck", create=True) as lake:
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


def opened(root, **options):
    with open_lake(load_config(overrides=[f'lake.root="{root}"'], environ={}), **options) as lake:
        return lake.root


def test_opening_makes_no_lake_and_names_the_nearest_one(tmp_path):
    opened(tmp_path / "birds", create=True)
    opened(tmp_path / "cells", create=True)
    with pytest.raises(TableNotFoundError, match=r"no lake at .*/brids: no such folder; did you mean .*/birds`"):
        opened(tmp_path / "brids")
    assert not (tmp_path / "brids").exists()
    with pytest.raises(TableNotFoundError, match=r"other things; did you mean the lake `.*/(birds|cells)`"):
        opened(tmp_path)
    with pytest.raises(TableNotFoundError, match=r"did you mean the lake `.*/birds`"):
        opened(tmp_path / "birds" / "tables")


def test_a_folder_that_holds_other_things_becomes_no_lake(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"a")
    with pytest.raises(ConfigError, match=r"holds other things \(a.png\) and is no lake"):
        opened(tmp_path / "photos", create=True)
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["a.png"]


def test_a_folder_with_what_systems_put_there_is_empty(tmp_path):
    (tmp_path / "disk" / "lost+found").mkdir(parents=True)
    assert opened(tmp_path / "disk", create=True) == tmp_path / "disk"


@pytest.mark.parametrize("below", ["mine", "tables/mine", "objects"])
def test_a_lake_is_never_made_inside_another(tmp_path, below):
    opened(tmp_path / "lake", create=True)
    (tmp_path / "link").symlink_to(tmp_path / "lake")
    for root in (tmp_path / "lake" / below, tmp_path / "link" / below):
        with pytest.raises(ConfigError, match=r"lies inside the lake .*/(lake|link)"):
            opened(root, create=True)


@pytest.mark.parametrize("left", [["_tmp"], ["_tmp", "_locks", "tables/bronze"], ["_tmp", "_lake.json.4f.tmp"]])
def test_a_lake_that_was_killed_while_it_was_made_is_completed(tmp_path, left):
    for name in left:
        (tmp_path / "lake" / name).mkdir(parents=True)
    with pytest.raises(TableNotFoundError, match="petrel init"):
        opened(tmp_path / "lake")
    opened(tmp_path / "lake", create=True)
    opened(tmp_path / "lake")


def test_a_table_that_is_gone_is_an_error_and_is_not_made_anew(tmp_path):
    opened(tmp_path / "lake", create=True)
    shutil.rmtree(tmp_path / "lake" / "tables" / "silver" / "opinions")
    for create in (False, True):
        with pytest.raises(TableError, match=r"lost silver.opinions: .*; put the folder"):
            opened(tmp_path / "lake", create=create)
    assert not (tmp_path / "lake" / "tables" / "silver" / "opinions").exists()


def test_a_lake_with_other_tables_than_todays_is_named_as_one_of_another_version(tmp_path):
    opened(tmp_path / "lake", create=True)
    marker = tmp_path / "lake" / "_lake.json"
    made = json.loads(marker.read_text())
    made["tables"]["silver.entities"] = "other"
    del made["tables"]["gold.datasets"]
    marker.write_text(json.dumps(made))
    with pytest.raises(TableError, match=r"another version of Petrel: gold.datasets, silver.entities differ"):
        opened(tmp_path / "lake")
    marker.unlink()
    (tmp_path / "lake" / "_runs").mkdir()
    with pytest.raises(TableNotFoundError, match="no _lake.json, as lakes of earlier versions"):
        opened(tmp_path / "lake")
    marker.write_text("{")
    with pytest.raises(TableError, match=r"_lake.json: cannot be read"):
        opened(tmp_path / "lake")


def test_packages_are_called_like_the_commands_they_hold(lake):
    assert lh.dimensions(lake).step == "dimensions"
    assert importlib.import_module("lakehouse.dimensions") is lh.dimensions
    assert inspect.signature(lh.dimensions) == inspect.signature(dimensions)
    assert inspect.signature(lh.opinions) == inspect.signature(opinions)
    assert inspect.signature(lh.materialise) == inspect.signature(materialise)
