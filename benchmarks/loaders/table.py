"""Results as Markdown: one table for each workload, ratios formed within each round before the median is taken."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.loaders.plan import REFERENCE_LIMIT
from benchmarks.loaders.rounds import Line
from benchmarks.loaders.workloads import Data

_HEAD = (
    "| setting | rounds | samples/s (min-max) | MB/s out | x limit | x petastorm | x lancedb | CPU s per 1k "
    "| first batch s | peak RSS / own (imported) MB | near / disp | size |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def render(lines: Sequence[Line], data: dict[str, Data]) -> str:
    """Return the tables of all workloads that were measured."""
    parts = []
    for workload in dict.fromkeys(line.setting.workload for line in lines):
        parts.append(f"### {workload}\n\n{_HEAD}")
        parts += _rows([line for line in lines if line.setting.workload == workload], data[workload])
        parts.append("")
    return "\n".join(parts)


def ratios(line: Line, reference: Line | None) -> list[float]:
    """Return how many times as fast `line` was, for each round in which both were measured."""
    if reference is None:
        return []
    return [rate(ours) / rate(theirs) for ours, theirs in zip(line.rounds, reference.rounds, strict=False)]


def rate(result: dict[str, Any]) -> float:
    """Return samples per second of one measurement."""
    return float(result["samples"] / result["seconds"])


def _rows(lines: Sequence[Line], data: Data) -> Iterator[str]:
    work = data.workload
    limit = next((line for line in lines if line.setting.name == REFERENCE_LIMIT[work.name] and line.rounds), None)
    petastorm, lancedb = _best(lines, "petastorm"), _best(lines, "lancedb")
    sample_mb = data.array[0].nbytes / 1e6 if work.kind != "photos" else 3 * 224 * 224 / 1e6
    # Limits first, then by speed; what failed comes last, with its reason.
    for line in sorted(lines, key=lambda line: (line.setting.peer != "limit", -_median_rate(line))):
        name = f"**limit {line.setting.name}**" if line.setting.peer == "limit" else line.setting.name
        if not line.rounds:
            yield f"| {name} | 0 | no result: {line.failure} |" + " |" * 9
            continue
        rates = [rate(result) for result in line.rounds]
        middle = statistics.median(rates)
        capped = "" if all(result.get("whole_epochs", True) for result in line.rounds) else " *"
        cells = [
            name,
            f"{len(rates)}",
            f"{middle:,.0f} ({min(rates):,.0f}-{max(rates):,.0f}){capped}",
            f"{middle * sample_mb:,.0f}",
            _ratio(ratios(line, limit)),
            _ratio(ratios(line, petastorm)),
            _ratio(ratios(line, lancedb)),
            f"{statistics.median(1000 * result['cpu_s'] / result['samples'] for result in line.rounds):.3g}",
            *_sides(line, data),
        ]
        yield f"| {' | '.join(cells)} |" + (f" then failed: {line.failure}" if line.failure else "")


def _sides(line: Line, data: Data) -> tuple[str, str, str, str]:
    if line.setting.peer == "limit":
        return ("-", "-", "-", "-")
    first = f"{statistics.median(result['first_s'] for result in line.rounds):.2f}"
    look = line.look
    size = f"{line.written['bytes'] / data.source_bytes:.3f}"
    if not look:
        return (first, "-", "-", size)
    disp = "-" if look["disp"] is None else f"{look['disp']:.3f}"
    memory = f"{look['rss_mb']:,.0f} / {look['own_mb']:,.0f} ({look['imported_own_mb']:,.0f})"
    return (first, memory, f"{look['near']:.3f} / {disp}", size)


def _best(lines: Sequence[Line], peer: str) -> Line | None:
    measured = [line for line in lines if line.setting.peer == peer and line.rounds]
    return max(measured, key=_median_rate, default=None)


def _median_rate(line: Line) -> float:
    return statistics.median(map(rate, line.rounds)) if line.rounds else 0.0


def _ratio(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3g}" if values else "-"
