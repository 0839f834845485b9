"""The commands of the README, of CI and of pre-commit are the same ones."""

from __future__ import annotations

import os
import re
import shutil
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
    stages = re.findall(r"^stage .*(make \w+)", (REPOSITORY / ".ci" / "run").read_text(), re.MULTILINE)

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


STAND_IN = """#!/bin/sh
echo "${0##*/} $*" >>calls
case "$*" in
*version_info\\[:3\\]* | *join*) echo 3.11.7 ;;
*"-m venv .venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
*"pip install"*.venv/uv.lock) [ -e no-uv ] && exit 1; cp "$0" .venv/bin/uv ;;
esac
"""


@pytest.mark.parametrize("there_is_uv", [True, False])
def test_set_up_has_pip_fetch_the_locked_uv_which_does_the_rest(there_is_uv: bool, tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    for name in (".ci/setup", "requirements.lock"):
        shutil.copy(REPOSITORY / name, tmp_path / name)
    python = tmp_path / "python3"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    if not there_is_uv:
        (tmp_path / "no-uv").touch()

    tools = tmp_path / "tools"  # no uv among them, whatever this machine has
    tools.mkdir()
    for tool in ("sh", "awk", "cp", "date", "dirname", "mkdir", "rm"):
        (tools / tool).symlink_to(str(shutil.which(tool)))

    environment = {"PATH": str(tools), "PYTHON": str(python)}
    done = subprocess.run([".ci/setup"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)

    installs = [line for line in (tmp_path / "calls").read_text().splitlines() if "pip install" in line]
    by_pip = "python -m pip install --quiet --disable-pip-version-check"
    rest = "uv pip install --quiet" if there_is_uv else by_pip
    assert installs == [
        f"{by_pip} --require-hashes -r .venv/uv.lock",
        f"{rest} --require-hashes -r requirements.lock",
        f"{rest} --no-deps --no-build-isolation --editable .",
    ]
    assert ("pip found no uv for this machine" in done.stderr) != there_is_uv
    locked = (tmp_path / ".venv" / "uv.lock").read_text()
    assert re.fullmatch(r"uv==[0-9.]+ \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+", locked)


@pytest.mark.parametrize("script", ["spark-submit.sh", ".ci/run", ".ci/setup", ".ci/lock"])
def test_scripts_can_be_run_and_parse(script: str) -> None:
    path = REPOSITORY / script

    assert path.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(path)], check=True)
