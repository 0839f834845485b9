"""`petrel show`: everything about one thing, however it is named."""

from __future__ import annotations

import json
import re

import pytest

from jobs.cli import main
from tests.jobs.conftest import write_world


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A lake with the six shapes, a refused link, a rejected file, and a correction that superseded a label."""
    world = tmp_path_factory.mktemp("shown")
    pipeline = write_world(world)
    (world / "shapes" / "circle" / "bro\x1b[31mken.png").write_bytes(b"no picture")
    (world / "shapes" / "square" / "link.png").symlink_to("square_0.png")
    (world / "fix.csv").write_text("subject,label\nsquare_1.png,circle\n")
    root = str(world / "lake")
    assert main(["run", "--lake", root, "--pipeline", str(pipeline)]) == 0
    assert main(["opinions", "--lake", root, "--format", "csv", "--path", str(world / "fix.csv"), "--source", "shapes",
                 "--question", "shape", "--actor", "import:folders@1"]) == 0
    return root


def shown(capsys, lake, name):
    capsys.readouterr()
    assert main(["show", "--lake", lake, name, "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


def test_a_thing_is_found_by_id_prefix_path_and_name(lake, capsys):
    whole = shown(capsys, lake, "square/square_1.png")
    assert whole["entity"]["media_type"] == "image/png"
    assert [row["path"] for row in whole["landed"]] == ["square/square_1.png"]
    for name in (whole["id"], whole["id"][:6], "square_1.png", whole["landed"][0]["uri"]):
        assert shown(capsys, lake, name) == whole


def test_measurements_datasets_and_the_history_of_answers_are_told(lake, capsys):
    found = shown(capsys, lake, "square_1.png")
    assert {row["dimension"]: row["value"] for row in found["dimensions"]}["width"] in ("9", "9.0")
    assert [(row["label"], row["is_current"]) for row in found["opinions"]] == [("circle", True), ("square", False)]
    assert [(row["name"], row["label"], row["excluded_because"]) for row in found["datasets"]] == [
        ("shapes", "square", None)
    ]
    assert found["rejected"] == []


def test_people_see_it_as_tables_without_control_characters(lake, capsys):
    capsys.readouterr()
    assert main(["show", "--lake", lake, "square_1.png"]) == 0
    out = capsys.readouterr().out
    for part in ("seen as:", "measured:", "said:", "datasets:"):
        assert part in out
    assert "rejected:" not in out


def test_what_was_refused_or_rejected_is_shown_with_its_reason(lake, capsys):
    refused = shown(capsys, lake, "link.png")
    assert (refused["entity"], refused["landed"][0]["rule"]) == (None, "symlink")
    assert [row["rule"] for row in refused["rejected"]] == ["symlink"]
    broken = shown(capsys, lake, "circle/bro%1B[31mken.png")
    assert broken["entity"] is None
    assert [row["step"] for row in broken["rejected"]] == ["entities"]


@pytest.mark.parametrize(("name", "message"), [
    ("square_9.png", "nothing called `square_9.png` in the lake .*; did you mean `square/square_"),
    ("ffffff", "nothing called `ffffff`"),
    ("%.png", "nothing called"),
])
def test_what_there_is_not_is_an_error_that_names_the_nearest(lake, capsys, name, message):
    assert main(["show", "--lake", lake, name]) == 1
    assert re.search(message, capsys.readouterr().err)


def test_a_name_of_several_things_is_an_error_that_names_them(lake, tmp_path, capsys):
    again = tmp_path / "more"
    (again / "x").mkdir(parents=True)
    (again / "x" / "square_1.png").write_bytes(b"another thing")
    assert main(["land", "--lake", lake, "--source", "more", "--folder", str(again)]) == 0
    capsys.readouterr()
    assert main(["show", "--lake", lake, "square_1.png"]) == 1
    error = capsys.readouterr().err
    assert "is not one thing" in error
    assert "more: x/square_1.png" in error
    assert shown(capsys, lake, "x/square_1.png")["entity"] is None


def test_on_a_terminal_long_values_are_cut_and_that_is_said(lake, capsys, monkeypatch):
    capsys.readouterr()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["show", "--lake", lake, "square/square_2.png"]) == 0
    told = capsys.readouterr()
    (thing,) = (line for line in told.out.splitlines() if line.startswith("entity_id"))
    assert len(thing) <= 60
    assert "long values are cut; --json shows them whole" in told.err
