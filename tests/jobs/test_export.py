"""`petrel export` on the command line."""

from __future__ import annotations

import json

import pytest

from jobs.cli import main
from jobs.export import FORMATS
from lakehouse.exporting import step
from tests.exporting.conftest import OF_LABELS

SQL = "select entity_id, 'all' as label from entities_wide where width > $least"


@pytest.mark.parametrize("format", OF_LABELS)
def test_every_format_is_written_and_written_once(lake_folder, tmp_path, capsys, format):
    command = ["export", "--lake", str(lake_folder), "--sql", SQL, "--param", "least=1", "--format", format,
               "--to", str(tmp_path / "out"), "--json"]  # fmt: skip
    assert main(command) == 0
    receipt = json.loads(capsys.readouterr().out)
    assert receipt["counts"]["exported"] == receipt["counts"]["selected"] > 0
    assert (tmp_path / "out" / "_export.json").is_file()
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["bytes_written"] == 0


def test_the_command_knows_the_formats_of_the_library():
    assert sorted(step.FORMATS) == sorted(FORMATS)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--sql", "shapes"], "the dataset of this name is --dataset shapes"),
        (["--dataset", "select entity_id from entities"], "a query is given as --sql"),
        (["--dataset", ""], "is no name of a dataset"),
        (["--sql", ""], "QueryRefusedError"),
        (["--dataset", "shaeps"], "no dataset `shaeps`"),
        (["--dataset", "shaeps", "--param", "a=1"], "takes no parameters"),
        (["--dataset", "shapes", "--shard-mb", "8"], "manifest has no shards; leave it out"),
    ],
)
def test_a_slip_is_told_in_one_line_and_writes_nothing(lake_folder, tmp_path, capsys, given, said):
    to = str(tmp_path / "out")
    assert main(["export", "--lake", str(lake_folder), "--format", "manifest", "--to", to, *given]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_one_of_dataset_and_sql_is_given(lake_folder, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["export", "--lake", str(lake_folder), "--format", "manifest", "--to", str(tmp_path / "out")])
    assert "one of the arguments --dataset --sql is required" in capsys.readouterr().err
