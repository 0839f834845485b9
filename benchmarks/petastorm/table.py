"""The comparison as Markdown: what was measured, and each aim with MET or NOT MET."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.petastorm.comparing import Comparison, Line, expected_rows
from benchmarks.petastorm.workloads import SHARE, WORKLOADS

_HEAD = "workload, files|library|rows/s (min-max)|CPU s per 1k|first s (with imports)|own / peak MB|short passes"
_TRIED = "workload|setting|rows/s|CPU s per 1k|first s|own MB|short passes"
_AIMS = "aim|workload, files|measured|needed|"


def render(found: Sequence[Comparison]) -> str:
    """Return three tables: both libraries, the aims, and the settings that Petastorm was tried with."""
    lines = _headed(_HEAD)
    for one in found:
        lines += [_row(one.ours, "Petrel"), _row(one.theirs, f"Petastorm {one.theirs.setting.name}")]
    lines += ["", *_headed(_AIMS)]
    for one in found:
        lines += _aims(one)
    tried = {one.theirs.workload: one.tried for one in found if one.tried}
    if tried:
        lines += ["", *_headed(_TRIED)]
        for workload, each in tried.items():
            lines += [_tried(workload, line) for line in sorted(each, key=lambda line: -line.rate)]
    return "\n".join(lines) + "\n"


def _headed(names: str) -> list[str]:
    columns = names.split("|")
    return [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]


def _row(line: Line, name: str) -> str:
    where = f"{line.workload}, {line.layout}"
    if not line.rounds:
        return f"| {where} | {name} | no result: {line.failure} | | | | |"
    first, whole = (_middle([each[key] for each in line.rounds]) for key in ("first_s", "process_first_s"))
    rates = f"{line.rate:,.0f} ({min(line.rates):,.0f}-{max(line.rates):,.0f})"
    memory = f"{_middle(line.own_mb):,.0f} / {_middle([each['peak_mb'] for each in line.rounds]):,.0f}"
    later = f" then failed: {line.failure}" if line.failure else ""
    return (
        f"| {where} | {name} | {rates} | {_middle(line.cpu_s):.3g} | {first:.3f} ({whole:.2f}) | {memory} "
        f"| {short(line)} |{later}"
    )


def short(line: Line) -> str:
    """Say how many passes gave too few rows or too many."""
    wrong = [rows for rows in line.passes if rows != expected_rows(line.workload)]
    return f"{len(wrong)} of {len(line.passes)}" + (f" (least {min(wrong):,} rows)" if wrong else "")


def _tried(workload: str, line: Line) -> str:
    if not line.rounds:
        return f"| {workload} | {line.setting.name} | no result: {line.failure} | | | | |"
    first = _middle([each["first_s"] for each in line.rounds])
    return (
        f"| {workload} | {line.setting.name} | {line.rate:,.0f} | {_middle(line.cpu_s):.3g} | {first:.3f} "
        f"| {_middle(line.own_mb):,.0f} | {short(line)} |"
    )


def _aims(one: Comparison) -> Iterator[str]:
    work = WORKLOADS[one.ours.workload]
    where = f"{work.name}, {one.ours.layout}"
    if not one.ours.rounds or not one.theirs.rounds:
        yield f"| all | {where} | no result | | NOT MET |"
        return
    if work.times:
        yield _aim("times as fast", where, one.ratios("rates"), at_least=work.times)
    yield _aim("own memory", where, one.ratios("own_mb"), at_most=SHARE)
    yield _aim("first item", where, one.ratios("first_s"), at_most=SHARE)
    is_whole = all(rows == expected_rows(work.name) for rows in one.ours.passes)
    yield f"| every row, once a pass | {where} | {short(one.ours)} short | 0 | {_verdict(is_whole)} |"
    yield f"| the same values | {where} | {_sums(one.sums)} | equal | {_verdict(_sums(one.sums) == 'equal')} |"


def _aim(name: str, where: str, ratios: Sequence[float], *, at_least: float = 0.0, at_most: float = 0.0) -> str:
    value = _middle(ratios)
    needed = f">= {at_least:g}" if at_least else f"<= {at_most:g}"
    measured = f"{value:.3g} ({min(ratios):.3g}-{max(ratios):.3g})"
    is_met = value >= at_least if at_least else value <= at_most
    return f"| {name} | {where} | {measured} | {needed} | {_verdict(is_met)} |"


def _sums(sums: dict[str, Any]) -> str:
    """Compare the sums of all values that each library gave; a pass in which one lost rows says nothing."""
    ours, theirs = sums.get("petrel"), sums.get("petastorm")
    if ours is None or theirs is None:
        return "not looked at"
    if theirs["rows"] != ours["rows"]:
        return f"{ours['rows']:,} rows, {theirs['rows']:,} of Petastorm"
    off = {
        name: abs(ours["sums"][name] - total) / max(1.0, abs(total))
        for name, total in theirs["sums"].items() if abs(ours["sums"][name] - total) > 1e-9 * max(1.0, abs(total))
    }  # fmt: skip
    return ", ".join(f"{name} off by {share:.2g}" for name, share in off.items()) or "equal"


def _verdict(is_met: bool) -> str:
    return "MET" if is_met else "NOT MET"


def _middle(values: Sequence[float]) -> float:
    return statistics.median(values)
