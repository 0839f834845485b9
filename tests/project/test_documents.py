"""Documents say what is true: links lead to files, pages are found from the README, commands that are shown parse."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.cli import COMMANDS, VERBS, command_of
from jobs.common import parser_of

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page
    for folder in (".", "benchmarks", "conf", "docs", "loaders", "loaders/petastorm")
    for page in (REPOSITORY / folder).glob("*.md")
)
NOT_OURS = re.compile(r"\.\.\.|[|<>;&`]|\$\(|\bVERB\b|\bCOMMAND\b")
"""What only a shell understands, and places that a reader fills."""


def name(page: Path) -> str:
    """Return the path of a page below the repository."""
    return page.relative_to(REPOSITORY).as_posix()


def shown(page: Path) -> Iterator[str]:
    """Return the `petrel` commands in the blocks of a page, each on one line and without its comment."""
    for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if re.match(r"(\$ )?petrel +[a-z]", line):
                yield line.removeprefix("$ ").partition("  #")[0]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_page_is_found_from_the_readme() -> None:
    readme = (REPOSITORY / "README.md").read_text()

    assert [name(page) for page in REPOSITORY.glob("docs/*.md") if f"]({name(page)})" not in readme] == []


@pytest.mark.parametrize("page", [page for page in PAGES if list(shown(page))], ids=name)
def test_commands_that_are_shown_parse(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = []
    for line in shown(page):
        if NOT_OURS.search(line):
            continue
        command, *words = shlex.split(line)[1:]
        assert command in COMMANDS, line
        if words and words[0] in VERBS.get(command, {}):
            command = f"{command} {words.pop(0)}"
        try:
            parser_of(command_of(command), engine="embedded", program=f"petrel {command}").parse_args(words)
        except SystemExit:
            wrong.append(f"{line}: {capsys.readouterr().err.splitlines()[-1]}")
    assert wrong == []
