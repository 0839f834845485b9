"""Formats: one registry that packages add to, and folders of files that are one import."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

import lakehouse as lh
from jobs import opinions as job
from lakehouse import plugins
from lakehouse.errors import ConfigError
from lakehouse.opinions import formats as registry
from lakehouse.opinions.formats import BUILT_IN, formats
from lakehouse.opinions.reading.guess_format import guess_format
from lakehouse.opinions.words import FORMATS
from lakehouse.query import fetch
from tests.opinions.making import csv_source, land, said


@pytest.fixture
def install(monkeypatch):
    """Return a function that pretends a package brings a format."""

    def pretend(**points: str) -> None:
        found = [EntryPoint(name, value, registry.FORMAT_PACKAGES) for name, value in points.items()]
        monkeypatch.setattr(plugins, "entry_points", lambda group: found if group == registry.FORMAT_PACKAGES else [])
        formats.cache_clear()

    yield pretend
    monkeypatch.undo()
    formats.cache_clear()


def test_a_package_adds_a_format_by_one_line(lake, tmp_path, install):
    install(points="tests.opinions.points:POINTS")
    land(lake, ["a.png", "b.png"])
    file = tmp_path / "said.pts"
    file.write_text("a.png;cat\nb.png;dog\n")
    assert guess_format(file) == "points"
    source = lh.OpinionSource(format="points", path=str(file), question="animal", actor="human:ada")
    assert lh.opinions(lake, source).counts["new"] == 2
    assert sorted(label for _, label in said(lake)) == ["cat", "dog"]


@pytest.mark.parametrize(("points", "message"), [
    ({"csv": "tests.opinions.points:POINTS"}, "two formats are called `csv`"),
    ({"one": "tests.opinions.points:POINTS", "two": "tests.opinions.points:POINTS"}, "`one` and `two` both read"),
    ({"points": "tests.opinions.points:read"}, "expected an Format of lakehouse.opinions.formats, found function"),
])  # fmt: skip
def test_formats_that_clash_or_are_none_are_named(install, points, message):
    install(**points)
    with pytest.raises(ConfigError, match=message):
        formats()


def test_a_folder_of_files_is_one_import_and_those_of_other_formats_are_counted(lake, tmp_path):
    land(lake, ["a.png", "b.png"])
    folder = tmp_path / "answers"
    folder.mkdir()
    (folder / "2.csv").write_text("subject,label\nb.png,dog\na.png,dog\n")
    (folder / "1.csv").write_text("subject,label\na.png,cat\n")
    (folder / "3.jsonl").write_text('{"subject": "a.png", "label": "cow"}\n')
    (folder / "README.txt").write_text("what this is")
    (folder / "4.TSV").write_text("subject\tlabel\n")
    receipt = lh.opinions(lake, csv_source(folder))
    assert (receipt.counts["read"], receipt.counts["new"]) == (3, 3)
    assert "2 files of" in str(receipt.notes)
    assert "3.jsonl" in str(receipt.notes)
    assert sorted(said(lake)) == [("a.png", "dog"), ("b.png", "dog")]
    assert fetch(lake, "select count(*) as n from silver.batches")[0]["n"] == 1
    again = lh.opinions(lake, csv_source(folder))
    assert (again.counts["new"], fetch(lake, "select count(*) as n from silver.batches")[0]["n"]) == (0, 1)


def test_the_command_offers_every_format(install):
    import argparse

    install(points="tests.opinions.points:POINTS")
    parser = argparse.ArgumentParser()
    job.add_arguments(parser)
    assert parser.parse_args(["--format", "points"]).format == "points"


def test_the_help_names_the_formats_that_there_are_without_loading_them():
    assert sorted(BUILT_IN) == list(FORMATS)
