"""The table of functions over arrays, for docs/tensors.md:

    python -m lakehouse.tensors.listing        # rows of the table in docs/tensors.md
"""

from __future__ import annotations

import sys

from lakehouse.tensors.function import RESULTS
from lakehouse.tensors.registry import BUILT_IN

HEAD = "| call | gives | for one row, in NumPy |\n| --- | --- | --- |\n"
GIVES = {"array": "array"}


def table() -> str:
    """Return every function as a table in Markdown."""
    rows = []
    for each in BUILT_IN.values():
        gives = GIVES.get(each.result, RESULTS[each.result][1])
        same_as = each.same_as.replace("|", "\\|")
        rows.append(f"| `{each.signature}` | {gives} | {same_as} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(table())
