"""The words of a text of SQL, by DuckDB's own tokenizer."""

from __future__ import annotations

import re
from dataclasses import dataclass

import duckdb

QUOTED = re.compile(
    r"""[eE]'(?:[^'\\]|''|\\.)*'|[a-zA-Z]?'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$.*?\$\1\$""", re.DOTALL
)
"""A string, or a quoted name: what looks like a comment in it is none."""
COMMENT = re.compile(r"--|/\*")


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of the text, without the blanks and comments around it."""

    start: int
    end: int
    text: str
    kind: duckdb.token_type

    @property
    def is_name(self) -> bool:
        """Whether it can only be a name."""
        return self.kind == duckdb.token_type.identifier

    @property
    def is_word(self) -> bool:
        """Whether it is a name, or a word of SQL that may be one."""
        return self.is_name or self.kind == duckdb.token_type.keyword


def tokens(text: str) -> list[Token]:
    """Return the pieces of the text in order; comments are none."""
    encoded = text.encode()
    pieces = duckdb.tokenize(text)
    ends = [*(start for start, _ in pieces[1:]), len(encoded)]
    found = []
    for (start, kind), end in zip(pieces, ends, strict=False):
        if kind is duckdb.token_type.comment:
            continue
        # DuckDB tells where a piece begins; before the next one there may be blanks and comments.
        piece = encoded[start:end].decode()
        quoted = QUOTED.match(piece)
        text = quoted[0] if quoted else COMMENT.split(piece, maxsplit=1)[0].rstrip()
        found.append(Token(start, start + len(text.encode()), text, kind))
    return found
