"""What a command loads before it works: help, completion and a wrong flag come without the libraries of the data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jobs.cli import COMMANDS
from tests.making import add_entities, small_lake

ROOT = Path(__file__).parents[2]
HEAVY = ("numpy", "pyarrow", "pandas", "duckdb", "deltalake", "sqlglot", "PIL", "obstore", "pyspark", "torch", "tqdm")

LOADED = """
import contextlib, io, sys
from jobs.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(sys.argv[1:])
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def loaded_by(*words: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", LOADED, *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_loads_none_of_the_libraries_that_its_work_needs(command):
    assert loaded_by(command, "--help").isdisjoint(HEAVY)


def test_completion_loads_none_of_the_libraries_of_the_data():
    assert loaded_by("completion", "bash").isdisjoint(HEAVY)


def test_status_reads_logs_and_loads_neither_a_query_engine_nor_what_decodes(tmp_path):
    assert loaded_by("init", "--lake", str(tmp_path / "lake")) >= {"deltalake"}
    loaded = loaded_by("status", "--lake", str(tmp_path / "lake"))
    assert loaded >= {"deltalake"}
    assert loaded.isdisjoint({"pandas", "duckdb", "sqlglot", "PIL", "obstore", "pyspark", "torch", "tqdm"})


def test_a_plan_decides_without_pandas(tmp_path):
    lake, recipe = tmp_path / "lake", tmp_path / "recipe.toml"
    with small_lake(lake) as opened:
        add_entities(opened, ["a", "b"])
    recipe.write_text('name = "few"\n')
    loaded = loaded_by("dataset", "plan", "--lake", str(lake), "--recipe", str(recipe))
    assert loaded >= {"duckdb"}
    assert loaded.isdisjoint({"pandas", "pyspark", "torch"})
