"""The throughput command measures rows a second, and the commands of Petastorm are there under Petrel's names."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from loaders.petastorm import TransformSpec
from loaders.petastorm.benchmark.cli import main
from loaders.petastorm.benchmark.throughput import ReadMethod, WorkerPoolType, reader_throughput
from loaders.petastorm.codecs import NdarrayCodec, ScalarCodec
from loaders.petastorm.etl.local_writer import write_rows
from loaders.petastorm.predicates import in_lambda
from loaders.petastorm.spark_types import SparkType
from loaders.petastorm.unischema import Unischema, UnischemaField

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEMA = Unischema(
    "Small",
    [
        UnischemaField("id", np.int64, (), ScalarCodec(SparkType("LongType")), False),
        UnischemaField("vector", np.float32, (8,), NdarrayCodec(), False),
    ],
)
LINE = r"Average sample read rate: \d+\.\d\d samples/sec; RAM \d+\.\d\d MB \(rss\); CPU \d+\.\d\d%\n"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """40 rows in 4 row groups."""
    url = f"file://{tmp_path_factory.mktemp('throughput')}/set"
    rows = [{"id": number, "vector": np.full(8, number, np.float32)} for number in range(40)]
    write_rows(url, SCHEMA, rows, rows_per_row_group=10)
    return url


@pytest.mark.parametrize("pool", list(WorkerPoolType))
def test_every_pool_is_measured(small, pool):
    found = reader_throughput(small, None, 10, 100, pool, 2, spawn_new_process=False)
    assert found.samples_per_second == pytest.approx(1 / found.time_mean)
    assert 0 < found.memory_info.rss <= found.memory_info.peak_rss
    assert found.cpu >= 0


@pytest.mark.torch
def test_batches_count_as_their_rows(small):
    pytest.importorskip("torch")
    seen = []
    count = TransformSpec(lambda row: seen.append(row["id"]) or row)
    reader_throughput(
        small, None, 0, 100, WorkerPoolType.NONE, read_method=ReadMethod.TORCH, shuffling_queue_size=0, batch_size=20,
        reader_extra_args={"transform_spec": count}, spawn_new_process=False,
    )  # fmt: skip
    assert 100 <= len(seen) <= 120


def test_a_process_of_its_own_measures_with_lambdas_and_tells_errors(small):
    keep = {"predicate": in_lambda(["id"], lambda number: number < 5)}
    assert reader_throughput(small, ["id"], 1, 10, reader_extra_args=keep).samples_per_second > 0
    none = {"predicate": in_lambda(["id"], lambda number: False)}
    with pytest.raises(ValueError, match="there are no rows to measure"):
        reader_throughput(small, ["id"], 1, 10, reader_extra_args=none)


def test_the_command_prints_the_line_that_scripts_look_for(small, capsys):
    assert main([small, "--field-regex", "id", "-w", "1", "-p", "dummy", "-m", "5", "-n", "50"]) == 0
    assert re.fullmatch(LINE, capsys.readouterr().out)


def test_a_script_without_a_main_guard_measures_once(small, tmp_path):
    script = tmp_path / "measure.py"
    script.write_text(
        "from loaders.petastorm.benchmark.throughput import reader_throughput\n"
        f"print(reader_throughput({small!r}, None, 1, 10).samples_per_second > 0)\n"
    )
    done = subprocess.run([sys.executable, script], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_tensorflow_is_refused_by_name(small, capsys):
    with pytest.raises(SystemExit):
        main([small, "-d", "tf"])
    assert "TensorFlow is out of scope" in capsys.readouterr().err
    with pytest.raises(ValueError, match="nothing to measure"):
        reader_throughput(small, measure_cycles_count=0)


def test_commands_can_be_run():
    commands = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
    assert {"petrel-throughput", "petrel-copy-dataset", "petrel-generate-metadata"} <= set(commands)
    for place in commands.values():
        module, _, name = place.partition(":")
        assert callable(getattr(importlib.import_module(module), name))
