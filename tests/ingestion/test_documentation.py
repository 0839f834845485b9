"""docs/sources.md says what is so: its files and commands run in its order, and its table names every form."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from jobs.cli import main
from jobs.pipeline import load_pipeline
from lakehouse.ingestion.sources.forms import FORMS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_table_names_every_form_and_the_page_every_rule() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(FORMS)


@pytest.mark.parametrize("path", sorted((ROOT / "conf" / "sources").glob("*.toml")), ids=lambda path: path.stem)
def test_the_files_of_conf_can_be_followed(path: Path) -> None:
    assert load_pipeline(path).sources


def test_the_examples_run_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {"__name__": "page"}
    said: list[str] = []
    for kind, text in BLOCKS:
        if kind == "python":
            exec(compile(text, "docs/sources.md", "exec"), space)
        elif kind == "toml":
            Path(text.partition("\n")[0].removeprefix("# ")).write_text(text)
        else:
            for line in text.splitlines():
                command = shlex.split(line)
                assert command.pop(0) == "petrel"
                assert main([*command, *([] if command[0] == "sql" else ["--set", "engine.workers=1"])]) == 0, line
        said.append(capsys.readouterr().out)
    told = "".join(said)
    for counts in ("2 seen, 1 stored, 0 duplicate, 1 refused", "1 seen, 1 stored, 0 duplicate, 0 refused",
                   "3 records, 3 new, 0 same, 0 erased, 0 refused, 1 events, 1 complete, 0 waiting",
                   "2 seen, 2 stored, 0 duplicate, 0 refused", "1 rows, 1 new"):  # fmt: skip
        assert counts in told, (counts, told)
    assert re.search(r"e1\W+1\W+1\W+1\W+1", told), told
