"""Lines of a lake: main, and one for each branch. A version of a table that another line wrote says so by its number.

Every line counts the versions of a table on from where it began, so that what two lines have in common has one number.
After that the same number means two things. A number of its own line is written as Delta counts, and that of another
line with the line before it: `line * 2**32 + version`. Pins stay what they are, table -> whole number, and the pins of
a dataset that came with a merge lead to the line it was built on.
"""

from __future__ import annotations

MAIN = 1
"""The line of what is no branch."""

BRANCHES = "_branches"
"""Folder of the lines of branches: each has a folder that looks as that of a lake, with its own tables."""

MERGES = "_merges"
"""Folder, of each line, of what is to be done to all tables or none and is not done to its end."""

BRANCH = "_branch.json"
"""In the folder of a line: what it is called, and where it began."""

_LINE = 1 << 32


def numbered(line: int, version: int) -> int:
    """Return the number by which every line knows a version of a table of `line`."""
    return line * _LINE + version


def parted(number: int) -> tuple[int, int]:
    """Return (line, version) of a number; line 0 is that of whoever asks."""
    return divmod(number, _LINE)


def line_folder(line: int) -> str:
    """Return the folder of a branch's line among the files of the lake."""
    return f"{BRANCHES}/{line}"
