"""What importing Petrel costs, and who may import whom."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

PROBE = """
import json, sys
started = []
sys.addaudithook(lambda event, args: started.append(str(args)) if event in ("subprocess.Popen", "os.exec") else None)
import {module}
heavy = ("pyspark", "py4j", "delta", "torch", "pandas", "duckdb", "IPython", "sklearn", "matplotlib")
print(json.dumps([sorted(name for name in heavy if name in sys.modules), started]))
"""


@pytest.mark.parametrize("module", ["schemas", "lakehouse", "loaders", "jobs"])
def test_importing_a_package_loads_no_engine_no_torch_and_starts_no_process(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(module=module)],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert json.loads(done.stdout) == [[], []]


def test_the_packages_import_in_one_direction() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout
