"""Shells complete what the commands really take."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from jobs.cli import COMMANDS, main

ASK = """
source "$1"; shift
complete -p petrel >/dev/null || exit 9
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
compopt() { echo "compopt $*"; }
_petrel
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The script for bash, in a file."""
    command = [sys.executable, "-m", "jobs.cli", "completion", "bash"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    path = tmp_path_factory.mktemp("completion") / "petrel"
    path.write_text(done.stdout)
    return path


def completed(script, *words: str) -> list[str]:
    done = subprocess.run(["bash", "-c", ASK, "bash", str(script), "petrel", *words], capture_output=True, text=True,
                          check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_options_and_choices(script):
    assert completed(script, "lan") == ["land"]
    assert set(completed(script, "")) == {*COMMANDS, "--help", "--version"}
    assert completed(script, "land", "--follow") == ["--follow-links"]
    assert {"--lake", "--json", "--gate"} <= set(completed(script, "evaluate", "--"))
    assert completed(script, "land", "--source", "x", "--mode", "") == ["copy", "link"]
    assert completed(script, "completion", "") == ["bash", "zsh", "fish"]


def test_bash_completes_verbs_and_what_each_takes(script):
    assert set(completed(script, "opinions", "")) >= {"import", "record", "resolve", "retract"}
    assert completed(script, "opinions", "ret") == ["retract"]
    assert "--reason" in completed(script, "opinions", "retract", "--")
    assert "--reason" not in completed(script, "opinions", "import", "--")
    assert completed(script, "opinions", "import", "--match", "s") == ["stem", "sha256"]
    assert "--resolve" in completed(script, "opinions", "--")


def test_bash_completes_folders_files_and_published_datasets(script, lake_folder):
    assert completed(script, "land", "--folder", "") == ["compopt", "-o", "dirnames"]
    assert completed(script, "run", "--pipeline", "") == []
    assert completed(script, "evaluate", "--lake", str(lake_folder), "--dataset", "sh") == ["shapes"]
    assert completed(script, "evaluate", "--lake", "/no/such/lake", "--dataset", "") == []
    assert completed(script, "land", "--source", "") == ["compopt", "+o", "default"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_is_in_every_script_and_the_shell_reads_it(shell, tmp_path, capsys):
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    for name in COMMANDS:
        assert f" {name} " in text or f"{name})" in text
    path = tmp_path / "script"
    path.write_text(text)
    if shutil.which(shell):
        assert subprocess.run([shell, "-n", str(path)], capture_output=True, check=False).stderr == b""
