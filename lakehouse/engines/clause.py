"""One clause of ours at the end of a query, taken apart; `clauses` and `sampling` say it in SQL."""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse.engines.tokens import Token


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause and the text before it.

    Attributes:
        query: What it works on, in DuckDB's SQL.
        written: The same as it was written.
        tail: The pieces behind its two words.
        text: All that was written, encoded: places of the pieces are in it.
        is_first: Whether no clause stands before it.
    """

    query: str
    written: str
    tail: tuple[Token, ...]
    text: bytes
    is_first: bool


def outside(words: list[str]) -> list[int]:
    """Return the places of the words that stand in no brackets."""
    depth, found = 0, []
    for at, word in enumerate(words):
        depth -= word in (")", "]", "}")
        if depth == 0:
            found.append(at)
        depth += word in ("(", "[", "{")
    return found


def alone(key: str, value: str, what: str) -> str:
    """Return a value that fails where several rows have one key: what becomes of them would be chance.

    Args:
        key: Expressions, separated by commas; the last one is told.
        value: A number.
        what: Who needs the key.
    """
    told = f"coalesce(cast({key.rpartition(', ')[2]} as varchar), 'null')"
    told += f" || ' is the key of several rows: {what} that tells rows apart'"
    return f"case when count(*) over (partition by {key}) > 1 then cast({told} as double) else {value} end"
