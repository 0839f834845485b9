"""What a source may say about itself, in TOML and on the command line."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime

import pytest

from jobs import opinions as job
from jobs.common import main_of
from lakehouse.errors import ConfigError
from lakehouse.ingestion.land import land as land_drop
from lakehouse.ingestion.sources.source import Source
from lakehouse.opinions.reading.source import OpinionSource, opinion_source_from
from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.opinions.step import resolve_parked
from lakehouse.query import fetch
from tests.opinions.making import counts, csv_source, land, said, versions

TOML = """
format = "csv"
path = "votes.csv"
source = "photos"
question = "animal"
actor = "pool:crowd"
labels = ["cat", "dog"]
synonyms = { "0" = "cat" }
valid_time = 2025-01-01
columns = { subject = "image", votes = "count" }
delimiter = ";"
"""


def test_options_of_the_format_stand_beside_those_of_the_source():
    found = opinion_source_from(tomllib.loads(TOML), where="p.toml: [[opinions]] 1")
    assert found == OpinionSource(
        format="csv", path="votes.csv", source="photos", question="animal", actor="pool:crowd", labels=("cat", "dog"),
        synonyms={"0": "cat"}, valid_time=datetime(2025, 1, 1, tzinfo=UTC),
        options={"columns": {"subject": "image", "votes": "count"}, "delimiter": ";"},
    )
    assert found.name == "photos/animal/pool:crowd"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('formt = "csv"', r"`format` is missing; give csv, jsonl, voc or imagefolder"),
        ('format = "cvs"', r"unknown opinion format `cvs`; did you mean `csv`"),
        ('format = "csv"\nqestion = "q"', r"unknown key `qestion`; did you mean `question`"),
        ('format = "csv"\nvoc_origin = 1', r"unknown key `voc_origin`"),
        ('format = "csv"\npath = "a"\nquestion = "q"', r"option `actor` is missing"),
        ('format = "csv"\npath = "a"\nquestion = "q"\nactor = "human:a"\nlabels = "cat"', r"labels: expected a list"),
        ('format = "csv"\npath = "a"\nquestion = "q"\nactor = "human:a"\nmatch = "nmae"', r"did you mean `name`"),
        ('format = "csv"\npath = "a"\nquestion = "q"\nactor = "human:a"\nrepeat = "once"', r"repeat = 'once'"),
        ('format = "csv"\npath = "a"\nquestion = "q"\nactor = "human:a"\nvalid_time = "soon"', r"must be a time"),
        ('format = "csv"\npath = "a"\nquestion = "q"\nactor = "human:a"\ndelimiter = ",,"', r"must be one character"),
    ],
)
def test_a_mistake_is_named_with_place_and_nearest_key(line, message):
    with pytest.raises(ConfigError, match=message):
        opinion_source_from(tomllib.loads(line), where="p.toml: [[opinions]] 1")


def test_the_command_imports_what_its_arguments_say_and_again_adds_nothing(photos, tmp_path, capsys):
    (tmp_path / "a.csv").write_text("file,class\n1.jpg,cat\n3.jpg,dog\n")
    photos.close()
    arguments = [
        "--lake", str(photos.root), "--format", "csv", "--path", str(tmp_path / "a.csv"), "--source", "photos",
        "--question", "animal", "--actor", "human:ada", "--column", "subject=file", "--column", "label=class",
        "--label", "cat", "--label", "dog", "--valid-time", "2025-01-01", "--option", "keep_raw=false",
    ]
    assert main_of(job, arguments, engine="embedded") == 0
    assert "2 read, 2 new, 0 same" in capsys.readouterr().out
    assert main_of(job, arguments, engine="embedded") == 0
    assert "nothing new" in capsys.readouterr().out
    rows = fetch(photos, "select label, event_time, raw_json from silver.opinions order by label")
    assert [(row["label"], row["event_time"].year, row["raw_json"]) for row in rows] == [
        ("cat", 2025, None), ("dog", 2025, None),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --path FILE or FOLDER, or --pipeline FILE"),
        (["--format", "csv", "--path", "a", "--question", "q", "--actor", "human:a", "--column", "subject"],
         "--column subject: expected NAME=VALUE"),
    ],
)
def test_a_command_that_says_too_little_is_told_what_to_say(photos, capsys, arguments, message):
    photos.close()
    assert main_of(job, ["--lake", str(photos.root), *arguments], engine="embedded") == 1
    assert message in capsys.readouterr().err


def test_the_help_teaches_actors_and_examples(capsys):
    with pytest.raises(SystemExit):
        main_of(job, ["--help"], engine="embedded")
    shown = capsys.readouterr().out
    for text in ("--column subject=file", "kind:name", "silver.parked_opinions", "--resolve"):
        assert text in shown


def test_a_source_that_never_landed_is_an_error_with_the_nearest_name_and_parks_nothing(photos, tmp_path):
    source = csv_source(tmp_path / "a.csv", "subject,label\ncat/1.jpg,cat\n", source="photo")
    before = versions(photos)
    with pytest.raises(ConfigError, match=r"no source `photo` has landed in this lake; did you mean `photos`.*--early"):
        import_opinions(photos, source)
    assert versions(photos) == before


def test_answers_may_come_before_their_source_when_that_is_stated(photos, tmp_path):
    source = csv_source(tmp_path / "a.csv", "subject,label\n1.jpg,cat\n", source="later", early=True)
    assert import_opinions(photos, source).counts == counts(read=1, unmatched=1)
    land(photos, {"1.jpg": "another"}, source="later")
    assert resolve_parked(photos).counts["new"] == 1
    assert said(photos) == [("1.jpg", "cat")]
    # It is the same import, however it is called.
    again = csv_source(tmp_path / "a.csv", source="later")
    assert import_opinions(photos, again).counts["new"] == 0


def test_a_source_that_has_landed_and_has_no_entity_yet_is_known(photos, tmp_path):
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "1.jpg").write_bytes(b"1")
    land_drop(photos, Source(name="fresh", folder=str(tmp_path / "drop")))
    source = csv_source(tmp_path / "a.csv", "subject,label\n1.jpg,cat\n", source="fresh")
    receipt = import_opinions(photos, source)
    assert receipt.counts == counts(read=1, unmatched=1)
    assert "has landed and is no entity: run entities and resolve" in receipt.details["unmatched"]
