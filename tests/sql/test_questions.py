"""Questions of every usual shape get DuckDB's own answer, or a reason that names what is not allowed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

import lakehouse.sql
from lakehouse.config import EngineConfig, SqlConfig
from lakehouse.errors import QueryRefusedError
from lakehouse.sql.child import close_up
from lakehouse.sql.contained import request_limits
from lakehouse.sql.literals import sql_literals
from lakehouse.sql.session import ALL_NAMES, Connection
from lakehouse.sql.text import ready

PARAMS = {"text": "it's -- $whole", "whole": 2, "part": -0.5}
QUESTIONS = (Path(__file__).parent / "questions.sql").read_text(encoding="utf-8").strip().split("\n\n")
REFUSED = dict(
    text.removeprefix("-- refused: ").split("\n", 1)[::-1] for text in QUESTIONS if text.startswith("-- refused: ")
)
ANSWERED = [text for text in QUESTIONS if not text.startswith("-- refused: ")]


@pytest.fixture(scope="module")
def closed(lake_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """The database as the process of a query has it."""
    with duckdb.connect(":memory:") as connection:
        close_up(connection, ALL_NAMES, {
            "root": str(lake_root), "pins": {}, "scratch": str(tmp_path_factory.mktemp("scratch")),
            "limits": request_limits(SqlConfig(), EngineConfig()),
        })
        yield connection


@pytest.fixture(scope="module")
def open_lake_of_views(lake_root: Path) -> Iterator[Connection]:
    """DuckDB over the same views, with nothing of ours between it and the question."""
    with lakehouse.sql.connect(lake_root) as connection:
        yield connection


def test_there_are_questions_of_more_than_121_shapes() -> None:
    assert len(set(ANSWERED)) >= 121
    assert len(REFUSED) >= 10


@pytest.mark.parametrize("text", ANSWERED)
def test_a_question_gets_the_answer_of_duckdb(text: str, closed: Connection, open_lake_of_views: Connection) -> None:
    needed = {name: value for name, value in PARAMS.items() if f"${name}" in text.replace(f"'${name}'", "")}
    needed = {} if "$$" in text else needed
    question = ready(text, sql_literals(needed), known=ALL_NAMES)
    if not needed:
        assert question.text == text
    found, expected = closed.execute(question.text), open_lake_of_views.execute(text, needed)
    columns = [(column[0], column[1]) for column in expected.description or ()]
    assert len(found.description or ()) == len(columns)
    if not needed:
        assert [(column[0], column[1]) for column in found.description or ()] == columns
    assert Counter(map(repr, found.fetchall())) == Counter(map(repr, expected.fetchall()))


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_allowed_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(QueryRefusedError) as caught:
        ready(text, {}, known=ALL_NAMES)
    assert REFUSED[text] in str(caught.value)
    assert "\n" not in str(caught.value)
