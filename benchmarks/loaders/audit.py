"""Does a loader deliver every sample once, in an order that can be repeated and continued? 5,003 rows, batches of 16.

duplicates, missing    of one epoch, in three runs; one answer if they agree
same order twice       the same seed in two processes
order across workers   1 and 2 workers, the same seed
resume                 after 100 batches, in another process: with as many workers, and with 1 instead of 2
"""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.loaders.children import ChildError, prepared, run_child
from benchmarks.loaders.workloads import Data

logger = logging.getLogger(__name__)

OPTIONS: dict[str, dict[str, Any]] = {
    "petrel": {},
    "petrel processes": {"pool": "processes"},
    "plain": {},
    "lancedb": {},
    "lancedb processes": {"pool": "processes"},
    "lance": {"style": "take"},
    "hf": {"style": "stream"},
    "litdata": {},
    "mds": {},
    "wds": {},
    "petastorm": {},
}
"""How each loader is audited; the kind that can save its position where there are several."""

_TAKE = 100

_HEAD = (
    "| loader | duplicates / missing | same order twice | same order with 1 and 2 workers | resume "
    "| resume with 1 worker instead of 2 |\n|---|---|---|---|---|---|"
)


def audit(peers: Sequence[str], data: Data, *, seed: int) -> dict[str, dict[str, str]]:
    """Return {loader: {question: answer}}."""
    answers = {}
    for name, options in OPTIONS.items():
        peer = name.split()[0]
        if peer in peers:
            answers[name] = _audit_one(peer, options, data, seed)
            logger.info("audit loader=%s %s", name, answers[name])
    return answers


def render_audit(answers: dict[str, dict[str, str]]) -> str:
    """Return the answers as Markdown."""
    rows = []
    for name, found in answers.items():
        if "failure" in found:
            rows.append(f"| {name} | no result: {found['failure']} |" + " |" * 4)
        else:
            rows.append(f"| {name} | {' | '.join(found.values())} |")
    return "\n".join(["### Order audit", "", _HEAD, *rows, ""])


def _audit_one(peer: str, options: dict[str, Any], data: Data, seed: int) -> dict[str, str]:
    try:
        folder = prepared(peer, data)["folder"]
    except ChildError as error:
        return {"failure": str(error)}

    def run(workers: int, **more: Any) -> dict[str, Any]:
        task = {"mode": "order", "peer": peer, "workload": data.workload.name, "folder": folder, "seed": seed}
        return run_child({**task, "options": {"workers": workers, **options}, **more}, patience_s=60)

    try:
        first, again, other = run(2), run(2), run(1)
        ids = first["ids"]
        found = {
            "losses": "; ".join(
                dict.fromkeys(_losses(each["ids"], data.workload.rows) for each in (first, again, other))
            ),
            "twice": _yes(again["ids"] == ids),
            "workers": _yes(other["ids"] == ids),
        }
    except ChildError as error:
        return {"failure": str(error)}
    if not first["can_resume"]:
        return {**found, "resume": "none", "elastic": "none"}
    with tempfile.TemporaryDirectory() as place:
        state = str(Path(place) / "state")
        try:
            before = run(2, take=_TAKE, state_out=state)["ids"]
        except ChildError as error:
            return {**found, "resume": f"no: {error}", "elastic": "-"}
        for question, workers in (("resume", 2), ("elastic", 1)):
            try:
                after = run(workers, state_in=state)["ids"]
                found[question] = _continued(before, after, ids, data.workload.rows)
            except ChildError as error:
                found[question] = f"no: {error}"
    return found


def _continued(before: list[int], after: list[int], whole: list[int], rows: int) -> str:
    if before + after == whole:
        return "exact"
    same = Counter(before + after) == Counter(whole)
    return f"{'same samples, other order' if same else 'no'}; {_losses(before + after, rows)}"


def _losses(ids: list[int], rows: int) -> str:
    counts = Counter(ids)
    return f"{len(ids) - len(counts)} / {rows - len(counts)}"


def _yes(same: bool) -> str:
    return "yes" if same else "**no**"
