"""What Petrel's SQL has beyond DuckDB's, said in DuckDB's: slices of arrays, and clauses at the end of a query.

    x[10:20, :, 0]                                      nd_slice(x, '10:20, :, 0')
    <query> sample by weight seed 7 limit 100           `lakehouse.engines.clauses` has these

Every text that DuckDB reads stays as it is: it reads no comma inside the brackets behind a value.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from lakehouse.errors import QueryRefusedError

if TYPE_CHECKING:
    from lakehouse.engines.tokens import Token

OPENING = {"(": ")", "[": "]", "{": "}"}
CLOSING = {closing: opening for opening, closing in OPENING.items()}

BEFORE_LISTS = frozenset(
    "select in not and or when then else by from values distinct all any array case having where on limit between like "
    "ilike is union as return using row offset similar glob some lambda "
    "qualify if".split()
)
"""Keywords behind which brackets are a list; behind others, which DuckDB lets be names, they take a part of a value."""

VERSIONED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*@[0-9]{1,9}\s*\(")
"""What may be a call of a version of a function; DuckDB reads no bracket behind such a number."""
CLAUSE = re.compile(r"\b(?:sample|expand|ungroup)\s+by\b|\bgroup\s+across\b", re.IGNORECASE)
"""What may be a clause of ours; DuckDB reads none of these."""
_WHOLE = re.compile(r"[+-]?\s*[0-9]{1,18}")
MOST_SLICES = 1000


def plain(text: str) -> str:
    """Return a text in DuckDB's own SQL.

    Raises:
        QueryRefusedError: If a clause is not whole, the message says how it is written; or if a text has more than
            `MOST_SLICES` slices; or if it asks for a version of a function (`box_error@3(a, b)`) that is not here.
    """
    if "@" in text and VERSIONED.search(text):
        from lakehouse.engines.versioned import without_versions

        text = without_versions(text)
    return _plain(text)


@lru_cache(maxsize=256)
def _plain(text: str) -> str:
    if "?" in text:
        text = _by_place(text)
    if "[" in text and "," in text:
        text = _sliced(text)
    if CLAUSE.search(text):
        from lakehouse.engines.clauses import without_clauses

        text = without_clauses(text)
    return text


def _by_place(text: str) -> str:
    """Return a text with `$1`, `$2` ... for each `?`: what follows moves pieces about, and says some more than once."""
    encoded, parts, done = text.encode(), [], 0
    for number, piece in enumerate((piece for piece in _tokens(text) if piece.text == "?"), start=1):
        parts += [encoded[done : piece.start], f" ${number} ".encode()]  # else `?and` would be a name
        done = piece.end
    return b"".join([*parts, encoded[done:]]).decode()


def _tokens(text: str) -> list[Token]:
    from lakehouse.engines.tokens import tokens

    return tokens(text)


@dataclass(slots=True)
class _Bracket:
    """A bracket of a text.

    Attributes:
        place: Its piece.
        value: Piece with which the value before it begins; None: there is none, it is a list.
        end: Piece that closes it; -1: none does.
        splits: Commas and colons in it that are inside no further brackets.
    """

    place: int
    value: int | None
    end: int = -1
    splits: list[int] = field(default_factory=list)


def _sliced(text: str) -> str:
    """Return the text with its slices written as calls. One pass: a text of a stranger's may be all brackets."""
    pieces = _tokens(text)
    slices = _slices(pieces)
    if len(slices) > MOST_SLICES:
        raise QueryRefusedError(f"a query of {len(slices):,} slices; the limit is {MOST_SLICES:,}")
    if not slices:
        return text
    encoded = text.encode()
    said = [piece.text for piece in pieces]
    # What stands before each piece; the piece behind each, over those that became part of it.
    gaps = [encoded[before.end : piece.start].decode() for before, piece in itertools.pairwise(pieces)]
    gaps = [encoded[: pieces[0].start].decode(), *gaps]
    behind = list(range(1, len(pieces) + 1))

    def joined(first: int, last: int) -> str:
        found, at = [], first
        while at < last:
            found += [gaps[at] if at > first else "", said[at]]
            at = behind[at]
        return "".join(found)

    # Those inside, and those before, end first.
    for each in slices:
        assert each.value is not None
        spec, numbers = _spec(pieces, each, joined)
        said[each.value] = f"nd_slice({', '.join([joined(each.value, each.place), _quoted(spec), *numbers])})"
        behind[each.value] = each.end + 1
    return f"{gaps[0]}{joined(0, len(pieces))}{encoded[pieces[-1].end :].decode()}"


def _slices(pieces: list[Token]) -> list[_Bracket]:
    """Return the brackets behind a value that have a comma in them, in the order in which they end."""
    found: list[_Bracket] = []
    open_ones: list[_Bracket] = []
    closed: dict[int, _Bracket] = {}
    for at, piece in enumerate(pieces):
        if piece.text in OPENING:
            open_ones.append(_Bracket(at, _value_before(pieces, at, closed)))
        elif piece.text in CLOSING and open_ones:
            each = closed[at] = open_ones.pop()
            each.end = at
            is_slice = pieces[each.place].text == "[" and each.value is not None
            if is_slice and any(pieces[split].text == "," for split in each.splits):
                found.append(each)
        elif piece.text in (",", ":", "::") and open_ones:
            open_ones[-1].splits.append(at)
    return found


def _spec(pieces: list[Token], bracket: _Bracket, joined: Callable[[int, int], str]) -> tuple[str, list[str]]:
    """Return what stands in the brackets, with `?` for what is no whole number, and these."""
    told, numbers, first = "", [], bracket.place + 1
    for at in [*bracket.splits, bracket.end]:
        text = joined(first, at)
        if text and text != "..." and not _WHOLE.fullmatch(text):
            numbers.append(text)
            text = "?"
        split = pieces[at].text
        told += "".join(text.split()) + (", " if split == "," else "" if at == bracket.end else split)
        first = at + 1
    return told, numbers


def _value_before(pieces: list[Token], place: int, closed: Mapping[int, _Bracket]) -> int | None:
    """Return where the value begins that stands before a bracket: a name, a call, something in brackets."""
    before = place - 1
    if before < 0:
        return None
    if before not in closed:
        return _name_before(pieces, place) if _is_name(pieces[before]) else None
    opening = closed[before]
    if pieces[before].text == ")":
        name = pieces[opening.place - 1] if opening.place else None
        # `if` is a function too.
        is_call = name is not None and (_is_name(name) or name.text.lower() == "if")
        return _name_before(pieces, opening.place) if is_call else opening.place
    return opening.value if pieces[before].text == "]" else None


def _name_before(pieces: list[Token], place: int) -> int:
    at = place - 1
    while at >= 2 and pieces[at - 1].text == "." and _is_name(pieces[at - 2]):
        at -= 2
    # `$name`: a parameter.
    return at - 1 if at > 0 and pieces[at - 1].text == "$" and pieces[at - 1].end == pieces[at].start else at


def _is_name(piece: Token) -> bool:
    text = piece.text
    if text.startswith('"'):
        return True
    return text.isidentifier() and text.lower() not in BEFORE_LISTS


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
