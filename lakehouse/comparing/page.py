"""A comparison as one HTML page: no script, nothing from a network, everything from data as text."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lakehouse.comparing.diff import DatasetDiff
from loaders.stores.files import write_durably

MOST_ROWS = 1_000
"""Of a part; the page tells how many there are."""

_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width"><title>{title}</title><style>
body{{font:15px/1.4 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222;background:#fff}}
table{{border-collapse:collapse;margin:.5rem 0 1.5rem}}td,th{{padding:.2rem .7rem;border-bottom:1px solid #ddd;
text-align:left;overflow-wrap:anywhere}}td.n{{text-align:right;font-variant-numeric:tabular-nums}}
.bar{{display:inline-block;height:.7rem;background:#47a}}.bar.less{{background:#c65}}
@media(prefers-color-scheme:dark){{body{{color:#ddd;background:#181818}}td,th{{border-color:#444}}}}
</style></head><body><h1>{title}</h1>
"""


def write_page(found: DatasetDiff, path: Path) -> None:
    """Write the page; one that is there is replaced, whole or not at all."""
    write_durably(path, "".join(_page(found)).encode())


def _page(found: DatasetDiff) -> Iterator[str]:
    yield _HEAD.format(title=html.escape(f"{found.old['name']}: what differs"))
    yield _table([{"": side, **version} for side, version in (("old", found.old), ("new", found.new))])
    yield "<h2>Members</h2>" + _table([{"": name, "members": count} for name, count in found.counts.items()])
    for name, rows in found.parts():
        if rows:
            yield f"<h2>{html.escape(name.capitalize())}</h2>{_table(rows)}"
    members = found.members.slice(0, MOST_ROWS).to_pylist()
    if members:
        yield f"<h2>Members that differ ({len(members):,} of {found.members.num_rows:,})</h2>{_table(members)}"
    yield "</body></html>\n"


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in names)
    lines = ["".join(_cell(name, row.get(name)) for name in names) for row in rows[:MOST_ROWS]]
    more = f"<p>and {len(rows) - MOST_ROWS:,} more</p>" if len(rows) > MOST_ROWS else ""
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>{more}"


def _cell(name: str, value: object) -> str:
    if value is None:
        return "<td></td>"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"<td>{html.escape(str(value))}</td>"
    if isinstance(value, int):
        text = f"{value:,}"
    else:
        text = f"{value:+.4g}" if name in ("share_change", "shift") else f"{value:.6g}"
    bar = ""
    if name == "share_change":
        width, less = min(100, abs(value) * 100), " less" if value < 0 else ""
        bar = f' <span class="bar{less}" style="width:{width:.1f}px"></span>'
    return f'<td class="n">{text}{bar}</td>'
