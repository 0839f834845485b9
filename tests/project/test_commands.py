"""The commands of the README, of CI and of pre-commit are the same ones."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]


def make(*args: str) -> str:
    """Run make and return what it printed."""
    # As from a shell: the tests themselves run below `make test`, which tells its children so.
    outside = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(["make", *args], cwd=REPOSITORY, env=outside, capture_output=True, text=True, check=True)
    return done.stdout


def test_plain_make_lists_every_command_with_a_sentence() -> None:
    named = re.findall(r"^ +make ([\w-]+) +\S+", make(), re.MULTILINE)
    declared = (REPOSITORY / "Makefile").read_text().partition(".PHONY: ")[2].partition("\n")[0].split()

    assert sorted(named) == sorted(declared)


def test_pre_commit_runs_what_ci_runs() -> None:
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    stages = re.findall(r"^stage .*(make \w+)$", (REPOSITORY / ".ci" / "run").read_text(), re.MULTILINE)

    assert stages == ["make setup", *(hook["entry"] for hook in hooks), "make test"]


def test_make_demo_hands_its_variables_on() -> None:
    line = make("--dry-run", "--assume-old=.venv/petrel-ready", "demo", "DATA=my drop", "ENGINE=spark", "LAKE=here")

    assert line.split(" ", 1)[1].strip() == "-m examples.demo --data 'my drop' --engine 'spark' --lake 'here'"


@pytest.mark.parametrize(
    ("python", "message"),
    [
        ("no-such-python", "Petrel needs Python 3.11 or newer, and there is no no-such-python"),
        ("{tmp}/old", "Petrel needs Python 3.11 or newer, and {tmp}/old is 3.9.2"),
    ],
)
def test_set_up_without_a_fitting_python_says_what_to_run(python: str, message: str, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text('#!/bin/sh\ncase "$2" in *join*) echo 3.9.2 ;; *) exit 1 ;; esac\n')
    old.chmod(0o755)
    python, message = (text.replace("{tmp}", str(tmp_path)) for text in (python, message))

    done = subprocess.run(
        [str(REPOSITORY / ".ci" / "setup")],
        env={"PATH": "/usr/bin:/bin", "PYTHON": python}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr == f"set-up: {message}; run: make setup PYTHON=/path/to/python3.11\n"


@pytest.mark.parametrize("script", ["spark-submit.sh", ".ci/run", ".ci/setup", ".ci/lock"])
def test_scripts_can_be_run_and_parse(script: str) -> None:
    path = REPOSITORY / script

    assert path.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(path)], check=True)
