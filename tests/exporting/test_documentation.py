"""The page about programs is run: every Python block of it, one after the other."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from jobs.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_every_block_of_the_page_runs(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path / "my_lake")
    monkeypatch.chdir(tmp_path)
    found = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names = {"__name__": "page"}
    for number, block in enumerate(found):
        exec(compile(block, f"api.md, block {number}", "exec"), names)
    assert len(found) >= 6
    assert {path.name for path in Path("out").iterdir()} == {"folders", "shards", "wide", "list"}


def test_the_command_of_the_page_runs(made, tmp_path):
    [line] = re.findall(r"^    petrel (export .*)$", PAGE.read_text(), re.MULTILINE)
    shutil.copytree(made, tmp_path / "my_lake")
    words = (
        line.replace("my_lake", str(tmp_path / "my_lake")).replace("s3://bucket", f"memory://{tmp_path.name}").split()
    )
    assert main(words) == 0
