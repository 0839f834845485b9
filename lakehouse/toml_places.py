"""Where the keys of a TOML file stand, for messages: `tomllib` reads values and forgets their lines.

The text is one that `tomllib` has read, so that this scanner may take its form for granted: it finds keys, and steps
over values.
"""

from __future__ import annotations

import bisect
import re
from typing import NamedTuple

BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
TEXT = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL)
PLAIN = re.compile(r"[^,\]}\n#]*")

Path = tuple[str, ...]


class Place(NamedTuple):
    """Where a key stands: line and column, both from 1."""

    line: int
    column: int


def places_of(text: str) -> dict[Path, Place]:
    """Return key, as its parts, -> where it was first stated; tables and keys of inline tables are keys too.

    Tables of an array (`[[datasets]]`) count under the name of the array alone.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.found


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.lines = [0, *(found.end() for found in re.finditer("\n", text))]
        self.found: dict[Path, Place] = {}

    def document(self) -> None:
        table: Path = ()
        while True:
            self.blank()
            if self.at >= len(self.text):
                return
            if self.text[self.at] == "[":
                self.at += 2 if self.text.startswith("[[", self.at) else 1
                table = self.key(())
                self.at = self.end_of_line()
            else:
                self.pair(table)

    def blank(self) -> None:
        found = BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def end_of_line(self) -> int:
        end = self.text.find("\n", self.at)
        return len(self.text) if end < 0 else end

    def pair(self, table: Path) -> None:
        path = self.key(table)
        self.at = self.text.index("=", self.at) + 1
        self.value(path)

    def key(self, table: Path) -> Path:
        """Read `a . "b"`; every part of it is a key of its own."""
        while True:
            self.blank()
            found = KEY.match(self.text, self.at)
            if found is None:
                raise ValueError(f"no key at character {self.at}; please report this")
            table = (*table, _bare(found.group()))
            self.found.setdefault(table, self.place(found.start()))
            self.at = found.end()
            self.blank()
            if not self.text.startswith(".", self.at):
                return table
            self.at += 1

    def place(self, at: int) -> Place:
        line = bisect.bisect_right(self.lines, at)
        return Place(line, at - self.lines[line - 1] + 1)

    def value(self, path: Path) -> None:
        self.blank()
        first = self.text[self.at : self.at + 1]
        if first in ("[", "{"):
            self.several(path, closing="]" if first == "[" else "}")
            return
        found = TEXT.match(self.text, self.at) or PLAIN.match(self.text, self.at)
        self.at = found.end() if found else len(self.text)

    def several(self, path: Path, *, closing: str) -> None:
        self.at += 1
        while True:
            self.blank()
            if self.text.startswith(closing, self.at):
                self.at += 1
                return
            if self.text.startswith(",", self.at):
                self.at += 1
            elif closing == "}":
                self.pair(path)
            else:
                self.value(path)


def _bare(key: str) -> str:
    if key[0] == "'":
        return key[1:-1]
    return re.sub(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", _escaped, key[1:-1]) if key[0] == '"' else key


def _escaped(found: re.Match[str]) -> str:
    code = found.group(1) or found.group(2)
    return chr(int(code, 16)) if code else {"n": "\n", "t": "\t", "r": "\r"}.get(found.group(3), found.group(3))
