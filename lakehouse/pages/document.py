"""One HTML file: its frame, tables, and texts of data made harmless."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #1b2733; --paper: #fff; --quiet: #5b6773; --line: #9aa7b4; --well: #f2f5f8;
  --bar: #3b82b8; --edge: #d5dce3; }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe6ec; --paper: #161b20; --quiet: #93a1ad; --line: #56626d;
  --well: #20272e; --bar: #5b9fd0; --edge: #3a444d; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: var(--ink);
  background: var(--paper); }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.wide { overflow-x: auto; margin: .3rem 0 1rem; } pre { overflow-x: auto; background: var(--well); padding: .7rem; }
code { background: var(--well); padding: 0 .25rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; } td, th { padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: top; }
th { border-bottom: 1px solid var(--line); font-weight: 600; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
svg { max-width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .small { font-size: 9px; }
.bar { fill: var(--bar); } .line { fill: none; stroke: var(--bar); stroke-width: 1.5; } .note { color: var(--quiet); }
.box { fill: none; stroke: #ffb000; stroke-width: 2; vector-effect: non-scaling-stroke; }
.grid { display: flex; flex-wrap: wrap; gap: .7rem; } figure { margin: 0; width: 8.5rem; font-size: 12px; }
figure img, figure svg.seen { max-width: 100%; border: 1px solid var(--edge); }
figure pre { font-size: 11px; padding: .3rem; margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
figcaption { overflow-wrap: anywhere; }
"""

CODE = re.compile(r"`([^`]+)`")

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What a browser may load for a page: nothing but what stands in it."""


def document(title: str, parts: Iterable[str]) -> str:
    """Return a page; `parts` are HTML already, `title` is text."""
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{STYLE}</style>'
    )
    body = "\n".join([f"<h1>{escape(title)}</h1>", *parts])
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table of values; columns of numbers stand to the right, None is empty, a head of no names is no line."""
    rows = list(rows)
    numbers = [bool(rows) and all(row[place] is None or _is_number(row[place]) for row in rows)
               for place in range(len(head))]  # fmt: skip
    classes = [' class="n"' if each else "" for each in numbers]
    lines = ["<tr>" + "".join(f"<td{of}>{_said(value)}</td>" for of, value in zip(classes, row, strict=True)) + "</tr>"
             for row in rows]  # fmt: skip
    if any(head):
        names = "".join(f"<th{of}>{escape(name)}</th>" for of, name in zip(classes, head, strict=True))
        lines.insert(0, f"<tr>{names}</tr>")
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def sentence(text: str) -> str:
    """Return a sentence as HTML; what stands between ` and ` is code."""
    said = CODE.sub(r"<code>\1</code>", escape(text))
    return f"<p>{said}</p>"


def note(text: str) -> str:
    """Return a sentence in a quiet colour."""
    return f'<p class="note">{escape(text)}</p>'


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _said(value: object) -> str:
    if value is None:
        return ""
    if not _is_number(value):
        return escape(str(value))
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
