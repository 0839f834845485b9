"""du: every file is told once from each side, and the sides agree."""

from __future__ import annotations

import json

import pytest

from jobs.cli import main as petrel
from lakehouse.config import load_config
from lakehouse.place import find_home


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_sides_of_a_lake_add_up_to_what_is_listed(place, lake, request, capsys):
    address = str(lake)
    if place == "bucket":
        address = request.getfixturevalue("there")
        assert petrel(["copy-lake", "--lake", str(lake), "--to", address]) == 0
    capsys.readouterr()
    assert petrel(["du", "--lake", address, "--json"]) == 0
    *rows, total = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    files = list(find_home(load_config(overrides=[f'lake.root="{address}"'], environ={})).files.list())

    def told(*kinds):
        return sum(row["files"] for row in rows if row["by"] in kinds), sum(
            row["bytes"] for row in rows if row["by"] in kinds
        )

    def listed(folder):
        found = [each.size for each in files if each.name.startswith(folder)]
        return len(found), sum(found)

    assert told("media type") == told("age") == told("source") == listed("objects/")
    assert told("dataset") == listed("datasets/")
    assert told("table", "log", "old versions") == listed("tables/")
    assert total["bytes"] == sum(listed(each)[1] for each in ("objects/", "datasets/", "tables/"))
    by_source = {row["name"]: row["files"] for row in rows if row["by"] == "source"}
    assert by_source == {"shapes": 6, "copied": 1}
    assert [(row["name"], row["files"]) for row in rows if row["by"] == "linked"] == [("linked", 2)]


def test_files_that_only_old_versions_have_are_told_apart(lake, capsys):
    for number in range(6):
        folder = lake.parent / f"more-{number}"
        folder.mkdir()
        (folder / "a.bin").write_bytes(bytes([number]))
        assert petrel(["land", "--lake", str(lake), "--source", f"more-{number}", "--folder", str(folder)]) == 0
    assert petrel(["maintain", "--lake", str(lake)]) == 0
    capsys.readouterr()
    assert petrel(["du", "--lake", str(lake)]) == 0
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["old", "versions", "bronze.landed_files"] in [line[:3] for line in said]
    assert next(line for line in said if line[:2] == ["table", "bronze.landed_files"])[2] == "1"
