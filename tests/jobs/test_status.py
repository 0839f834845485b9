"""`petrel status` and `petrel doctor`."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from jobs.cli import main
from lakehouse import doctor
from lakehouse.errors import EnvironmentProblemError
from lakehouse.verification.places import place_of
from lakehouse.verification.tables import newest
from schemas.tables import OPINIONS


def test_status_counts_rows_without_reading_data(lake_folder, capsys):
    for path in (lake_folder / "tables").rglob("*.parquet"):
        path.unlink()
    assert main(["status", "--lake", str(lake_folder), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    rows = {table["table"]: table["rows"] for table in shown["tables"]}
    assert rows["silver.entities"] == 6
    assert rows["silver.opinions"] == 6
    assert rows["silver.rejected"] == 0


def test_status_shows_tables_published_datasets_and_runs(lake_folder, capsys):
    assert main(["status", "--lake", str(lake_folder)]) == 0
    out = capsys.readouterr().out
    assert "silver.dimensions" in out
    assert "shapes" in out
    assert "materialise" in out


def test_status_of_no_lake_makes_none(tmp_path, capsys):
    assert main(["status", "--lake", str(tmp_path / "nowhere")]) == 1
    assert "no lake at" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff{no json", b"[1]\n", b'{"add": 1}\n', b"{}\n",
                                     b'{"txn": {"appId": "x", "version": 1}}\n'])
def test_status_of_a_damaged_last_commit_is_an_error_in_one_line(lake_folder, capsys, content):
    place = place_of(lake_folder, OPINIONS)
    for _ in range(2):
        place.entry(newest(place)).write_bytes(content)
        capsys.readouterr()
        assert main(["status", "--lake", str(lake_folder)]) == 1
        error = capsys.readouterr().err
        assert re.fullmatch(r"petrel: TableError: silver\.opinions: .*\.json is damaged.*\n", error), error
        # Again without the record of the head, which knows the entry's hash.
        shutil.rmtree(lake_folder / "_heads", ignore_errors=True)


def test_doctor_says_that_the_embedded_path_works(tmp_path, capsys):
    assert main(["doctor", "--lake", str(tmp_path / "lake")]) == 0
    out = capsys.readouterr().out
    for name in ("python", "pyarrow", "duckdb", "java", "jars", "lake folder", "free disk"):
        assert name in out
    assert list(tmp_path.iterdir()) == []


def test_doctor_without_java_warns_and_does_not_fail(tmp_path, capsys, monkeypatch):
    def no_java():
        raise EnvironmentProblemError("no java; run: install it")

    monkeypatch.setattr(doctor, "find_java", no_java)
    assert main(["doctor", "--lake", str(tmp_path / "lake")]) == 0
    assert "run: install it" in capsys.readouterr().out


def test_doctor_fails_where_the_lake_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    assert main(["doctor", "--lake", str(tmp_path / "file")]) == 1
    assert "fail" in capsys.readouterr().out
