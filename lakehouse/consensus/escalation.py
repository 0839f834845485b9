"""The list of what stays undecided, for the people who decide it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from lakehouse.consensus.decision import Decision
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.query import fetch

COLUMNS = ("subject_id", "path", "reason", "answers", "said")
ENDINGS = (".csv", ".jsonl", ".ndjson")

PATHS = """
select s.entity_id, min(s.path) as path from silver.entity_sources s
join undecided u on u.subject_id = s.entity_id group by s.entity_id
"""


def check_place(path: Path) -> None:
    """Refuse a file that cannot be the list.

    Raises:
        ConfigError: If its ending says neither CSV nor JSON lines, or its folder is not there.
    """
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"{path}: a list of what is undecided ends in {', '.join(ENDINGS)}")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: there is no folder {path.parent}")


def escalated(lake: Lake, undecided: Sequence[Decision]) -> list[dict[str, Any]]:
    """Return the rows of the list, by path: the subject, a path that it came under (None: none is known), why it is
    undecided, how many answered, and what they said."""
    about = pa.table({"subject_id": pa.array([each.subject for each in undecided], pa.string())})
    found = fetch(lake, PATHS, inputs={"undecided": lake.engine.from_arrow(about)}) if undecided else []
    paths = {row["entity_id"]: row["path"] for row in found}
    rows = [
        {"subject_id": each.subject, "path": paths.get(each.subject), "reason": each.reason,
         "answers": int(each.answers), "said": each.told}
        for each in undecided
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (row["path"] or "", row["subject_id"]))


def write_list(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the list as CSV or JSON lines, by the ending of the file; what was there is replaced as a whole."""
    draft = path.with_name(f".{path.name}.part")
    with draft.open("w", encoding="utf-8", newline="") as stream:
        if path.suffix.lower() == ".csv":
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        else:
            stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    draft.replace(path)
