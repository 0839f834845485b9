"""The page about labels is run: its files are written, its commands and programs run, in their order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from PIL import Image

from jobs.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "labels.md"


def test_every_block_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("drop").mkdir()
    for number in range(1, 5):
        Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(f"drop/{number}.jpg")
    Path("ada.csv").write_text("subject,label\n1.jpg,cat\n2.jpg,kitten\n3.jpg,dog\n")
    Path("bo.csv").write_text("subject,label\n1.jpg,cat\n3.jpg,cat\n")
    line = '{"subject": "4.jpg", "label": "dog", "actor": "human:cy", "event_time": "2025-05-01T10:00:00Z"}\n'
    Path("lines.jsonl").write_text(line)
    assert main(["land", "--lake", "my_lake", "--source", "photos", "--folder", "drop"]) == 0
    assert main(["entities", "--lake", "my_lake"]) == 0
    ran = {"bash": 0, "python": 0, "toml": 0}
    for kind, block in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        ran[kind] += 1
        if kind == "toml":
            name = re.match(r"# (\S+)\n", block)
            assert name is not None
            Path(name[1]).write_text(block)
        elif kind == "python":
            exec(compile(block, f"labels.md, block {ran[kind]}", "exec"), {"__name__": "page"})
        else:
            for command in block.strip().splitlines():
                program, *words = shlex.split(command)
                assert program == "petrel"
                assert main(words) == 0, command
    assert ran == {"bash": 7, "python": 2, "toml": 2}
    told = capsys.readouterr().out
    assert "believed, each since" in told
    assert "of those whom policy `strict` believes" in told
