"""`petrel run`: the whole path from one file, again and again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from jobs.cli import main

STEPS = ["land", "entities", "dimensions", "opinions", "resolve_parked", "build", "materialise"]


def receipts(capsys: pytest.CaptureFixture[str], lake: Path, pipeline: Path) -> dict[str, dict]:
    assert main(["run", "--lake", str(lake), "--pipeline", str(pipeline), "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["step"] for each in found] == STEPS
    return {each["step"]: each for each in found}


def new_rows(receipt: dict) -> int:
    return sum(write["rows_new"] for write in receipt["writes"])


def test_one_file_leads_from_pictures_to_a_published_dataset(tmp_path, pipeline, capsys):
    found = receipts(capsys, tmp_path / "lake", pipeline)
    assert found["land"]["counts"] == {"seen": 6, "stored": 6, "duplicate": 0, "refused": 0, "unchanged": 0}
    assert found["entities"]["counts"] == {"seen": 6, "stored": 6, "duplicate": 0, "rejected": 0}
    assert found["build"]["counts"]["members"] == 6
    assert found["materialise"]["counts"]["rows"] == 6
    assert (tmp_path / "lake" / found["materialise"]["details"]["folder"] / "_dataset.json").is_file()


def test_a_second_run_adds_no_row_and_no_object(tmp_path, pipeline, capsys):
    first = receipts(capsys, tmp_path / "lake", pipeline)
    objects = sorted((tmp_path / "lake" / "objects").rglob("*"))
    second = receipts(capsys, tmp_path / "lake", pipeline)
    assert {step: new_rows(receipt) for step, receipt in second.items()} == dict.fromkeys(STEPS, 0)
    assert all(receipt["bytes_written"] == 0 for receipt in second.values())
    assert second["build"]["details"] == first["build"]["details"]
    assert sorted((tmp_path / "lake" / "objects").rglob("*")) == objects


def test_a_second_run_without_notes_does_the_work_again_and_adds_nothing(tmp_path, pipeline, capsys):
    first = receipts(capsys, tmp_path / "lake", pipeline)
    for note in (tmp_path / "lake" / "_runs" / "fresh").iterdir():
        note.unlink()
    second = receipts(capsys, tmp_path / "lake", pipeline)
    assert {step: new_rows(receipt) for step, receipt in second.items()} == dict.fromkeys(STEPS, 0)
    assert second["materialise"]["details"] == first["materialise"]["details"]


def test_a_new_file_goes_through_alone(tmp_path, pipeline, capsys):
    first = receipts(capsys, tmp_path / "lake", pipeline)
    Image.new("RGB", (30, 30), (1, 2, 3)).save(tmp_path / "shapes" / "circle" / "late.png")
    second = receipts(capsys, tmp_path / "lake", pipeline)
    assert second["land"]["counts"] == {"seen": 7, "stored": 1, "duplicate": 0, "refused": 0, "unchanged": 6}
    assert second["entities"]["counts"]["stored"] == 1
    assert second["build"]["counts"]["members"] == 7
    assert second["build"]["details"]["dataset_id"] != first["build"]["details"]["dataset_id"]


def test_a_removed_publication_is_made_again(tmp_path, pipeline, capsys):
    first = receipts(capsys, tmp_path / "lake", pipeline)
    folder = tmp_path / "lake" / first["materialise"]["details"]["folder"]
    content = {path.name: path.read_bytes() for path in (folder / "train").iterdir()}
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    receipts(capsys, tmp_path / "lake", pipeline)
    assert {path.name: path.read_bytes() for path in (folder / "train").iterdir()} == content


def test_two_lakes_with_the_same_content_give_the_same_dataset_id(tmp_path, pipeline, capsys):
    one, other = (receipts(capsys, tmp_path / name, pipeline) for name in ("one", "other"))
    assert one["build"]["details"] == other["build"]["details"]


def test_an_answer_that_came_before_its_file_counts_once_the_file_has_landed(tmp_path, pipeline, capsys):
    labels = tmp_path / "labels.csv"
    labels.write_text("path,answer\ncircle/late.png,circle\n")
    with pipeline.open("a") as file:
        file.write(
            '\n[[opinions]]\nformat = "csv"\npath = "labels.csv"\nsource = "shapes"\nquestion = "shape"\n'
            'actor = "human:ada"\ncolumns = { subject = "path", label = "answer" }\n'
        )
    lake = tmp_path / "lake"
    assert main(["run", "--lake", str(lake), "--pipeline", str(pipeline)]) == 0
    Image.new("RGB", (30, 30), (1, 2, 3)).save(tmp_path / "shapes" / "circle" / "late.png")
    capsys.readouterr()
    assert main(["run", "--lake", str(lake), "--pipeline", str(pipeline), "--json"]) == 0
    found = {each["step"]: each for each in map(json.loads, capsys.readouterr().out.splitlines())}
    assert found["resolve_parked"]["counts"] == {"waiting": 1, "new": 1, "same": 0, "rejected": 0, "still_parked": 0}
    text = "select label from current_opinions where actor_id = 'human:ada'"
    assert main(["sql", "--lake", str(lake), text, "--format", "json"]) == 0
    assert capsys.readouterr().out == '{"label": "circle"}\n'
