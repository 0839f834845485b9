"""Scripts as in Petastorm's documentation run with nothing changed but the imports.

They lie in `scripts/` as their users wrote them; the command of MIGRATION.md changes a copy.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.petastorm.test_documentation import MIGRATION, blocks

pytestmark = [pytest.mark.spark, pytest.mark.torch]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The scripts, changed."""
    place = tmp_path_factory.mktemp("scripts")
    for script in (Path(__file__).parent / "scripts").glob("*.py"):
        shutil.copy(script, place)
    [command] = [block for block in blocks(MIGRATION, "bash") if "sed" in block]
    subprocess.run(command, shell=True, cwd=place, check=True)
    return place


@pytest.fixture(scope="module")
def run(folder, spark):
    """Return a function that runs a script, in the one Spark session, and returns what it printed."""
    pytest.importorskip("torch")
    before = set(sys.modules)

    def run_script(name, *arguments):
        out = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
            patch.setattr(type(spark), "stop", lambda _: None)
            patch.setattr(sys, "argv", [name, *map(str, arguments)])
            patch.syspath_prepend(str(folder))
            runpy.run_path(str(folder / name), run_name="__main__")
        return out.getvalue()

    yield run_script
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture(scope="module")
def hello(run, folder):
    url = f"file://{folder}/hello_world_dataset"
    run("generate_hello_world.py", url)
    return url


@pytest.fixture(scope="module")
def external(run, folder):
    url = f"file://{folder}/external_dataset"
    run("generate_external_dataset.py", url)
    return url


def test_the_command_changes_every_import_and_nothing_else(folder):
    for script in (Path(__file__).parent / "scripts").glob("*.py"):
        old, new = script.read_text().splitlines(), (folder / script.name).read_text().splitlines()
        for before, after in zip(old, new, strict=True):
            is_import = re.match(r"\s*(from|import) petastorm\b", before) is not None
            assert (before != after) is is_import
            assert "petastorm" not in after or "loaders.petastorm" in after or not is_import


def test_hello_world_in_python(run, hello):
    said = run("read_hello_world.py", hello).splitlines()
    assert sorted(said[:10]) == [f"{number}: (128, 256, 3) (4, 128, 30, 3)" for number in range(10)]
    assert said[10] == "20 id"


def test_hello_world_in_torch(run, hello):
    said = run("torch_hello_world.py", hello).splitlines()
    assert said[0] == "one at a time: torch.Size([1])"
    assert said[1:] == ["(4, 128, 256, 3) torch.uint8"] * 7 + ["(2, 128, 256, 3) torch.uint8"]


def test_hello_world_in_spark(run, hello):
    said = run("spark_hello_world.py", hello)
    for line in ("decoded: [3 3 3]", " |-- array_4d: binary (nullable = ", "rows: 10", "rows by SQL: 10"):
        assert line in said


def test_rows_are_selected(run, hello):
    said = run("select_rows.py", hello).splitlines()
    assert said[:2] == ["indexed True", "chosen [7, 8, 9]"]
    assert said[2] == "halves [[0, 1, 3, 5, 6], [2, 4, 7, 8, 9]]"  # as Petastorm 0.13.1 prints


def test_an_external_dataset(run, external):
    said = run("read_external_dataset.py", external)
    ids = re.findall(r"\d+", " ".join(re.findall(r"id: \[(.*?)\]", said)))
    assert sorted(map(int, ids)) == list(range(10))
    assert "torch.Size([1])" in said
    assert said.count("['id', 'pair', 'value1'] (4, 2)") == 2


def test_training_on_mnist(run, folder):
    url = f"file://{folder}/mnist"
    run("generate_mnist.py", "-o", url)
    said = run("train_mnist.py", "--dataset-url", url).splitlines()
    assert (len(said), said[2:]) == (4, ["Test set: Accuracy: 64/64", "in memory: 128"])
    assert run("train_mnist.py", "--dataset-url", url, "--all-epochs").startswith("Test set: Accuracy: 192/192")


def test_windows_of_time(run, folder):
    said = run("windows.py", f"file://{folder}/sensors").splitlines()
    assert said == ["0 3 [0. 0.] left", "8 10 [ 8. -8.] left", "10 11 [ 10. -10.] left"]


def test_a_converted_frame(run, folder):
    with pytest.warns(UserWarning, match="shard_seed was deprecated"):
        said = run("convert_frame.py", f"file://{folder}/cache").splitlines()
    assert said[:3] == ["rows: 200", "here: 1.00", "on a worker: 1.00"]
    assert said[3:] == ["['features', 'kind'] (4, 3, 5, 6) torch.int64"] * 2
    assert list((folder / "cache").glob("*")) == []


def test_a_script_of_its_own_with_worker_processes_needs_no_main_guard(folder, hello):
    script = folder / "in_processes.py"
    script.write_text(
        "from loaders.petastorm import TransformSpec, make_reader\n"
        "spec = TransformSpec(lambda row: {'id': row['id'] * 2}, removed_fields=['image1', 'array_4d'])\n"
        f"with make_reader({hello!r}, None, 'process', 2, transform_spec=spec) as reader:\n"
        "    print(sorted(int(row.id) for row in reader))\n"
    )
    for how in ([str(script)], ["-"]):
        done = subprocess.run(
            [sys.executable, *how], input=script.read_text(), capture_output=True, text=True, timeout=120,
            cwd=Path(__file__).resolve().parents[2],
        )  # fmt: skip
        assert (done.stdout, done.stderr) == (f"{list(range(0, 20, 2))}\n", "")
