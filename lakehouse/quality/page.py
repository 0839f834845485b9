"""The quality report: the last run of every suite as one page that needs no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Any

from lakehouse.pages.document import document, note, sentence, table
from lakehouse.pages.plots import bars
from lakehouse.quality.verdicts import RETIRED, failures_of

HEAD = ("", "expectation", "of", "rows", "break it", "found", "some of them")


def quality_page(rows: Sequence[dict[str, Any]]) -> str:
    """Return the report as HTML: no script, nothing from a network.

    Args:
        rows: From `lakehouse.quality.verdicts.last_runs`.
    """
    failed, told = failures_of(rows), [row for row in rows if not row["passed"]]
    said = f"{len(rows):,} expectations, {len(told):,} of which do not hold; {len(failed):,} stop datasets."
    parts = [sentence(said)]
    shares = {
        f"{row['suite']} {row['place']}": 100 * row["failing_rows"] / row["rows"]
        for row in told
        if row["rows"] and row["failing_rows"]
    }
    if shares:
        parts += ["<h2>Share of rows that break an expectation, %</h2>",
                  f'<div class="wide">{bars(shares, form="{:.2f}")}</div>']  # fmt: skip
    for name, group in groupby(rows, key=lambda row: row["suite"]):
        parts += _suite(name, list(group))
    return document("Quality", parts)


def _suite(name: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    first = rows[0]
    pins = ", ".join(f"{table} at version {version}" for table, version in json.loads(first["pins_json"]).items())
    at, retired = f"Run {first['run']}, {first['checked_at']:%Y-%m-%d %H:%M} UTC", first["after"] == RETIRED
    parts = [f"<h2>{escape(name)}</h2>", note(f"{at}, {'' if retired else 'after '}{first['after']}, of {pins}.")]
    if retired:
        parts.append(note(f"It is checked no more, and stops nothing, because: {first['allowed_because']}"))
    elif first["allowed_because"]:
        parts.append(note(f"Failures of this run stop nothing, because: {first['allowed_because']}"))
    return [*parts, table(HEAD, [_line(row) for row in rows])]


def _line(row: dict[str, Any]) -> list[object]:
    arguments = json.loads(row["arguments_json"])
    column = arguments.pop("column", None)
    asked = ", ".join(f"{key} {json.dumps(value)}" for key, value in arguments.items())
    kind = row["expectation"].removeprefix("expect_").replace("_", " ")
    examples = ", ".join(json.loads(row["examples_json"] or "[]"))
    found = row["problem"] or row["observed"]
    said = f"{kind}: {asked}" if asked else kind
    return [_verdict(row), said, column, row["rows"], row["failing_rows"], found, examples]


def _verdict(row: dict[str, Any]) -> str:
    # No line may end between the two.
    if row["passed"]:
        return "✓\u00a0holds"
    if row["allowed_because"]:
        return "✗\u00a0allowed"
    return "✗\u00a0fails" if row["blocks"] else "✗\u00a0told"
