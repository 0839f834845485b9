"""Show everything the lake knows about one thing: files, measurements, answers, datasets, rejections.

    petrel show --lake my_lake 4f1c09
    petrel show --lake my_lake photos/cat_07.png
    petrel show --lake my_lake cat_07.png --json

    petrel show --lake my_lake @3f2c91            # a commit: @ID, @TAG, @BRANCH, @{2026-01-31}

It is named by its entity id (the first 6 digits are enough where they are unique), or by the path or name of a file
that was landed, also one that was refused or rejected. A terminal with colours shows its picture (not with NO_COLOR=1).
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from jobs.drawing import draw_entity, shows_colours
from jobs.output import say, say_json, say_table
from lakehouse.config import Config

if TYPE_CHECKING:
    from lakehouse.showing import Row, Shown

VALUES = ("label", "labels", "number", "text", "ranking")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument(
        "entity", help="entity id or its first digits (at least 6), path or name of a landed file, or @COMMIT"
    )


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    if args.entity.startswith("@"):
        return _commit(config, args)
    from lakehouse.opening import open_lake
    from lakehouse.showing import show

    # A few questions: no other process is worth starting for them.
    alone = dataclasses.replace(config, engine=dataclasses.replace(config.engine, workers=1))
    with open_lake(alone) as lake:
        shown = show(lake, args.entity)
        if shown.entity is not None and not args.json and shows_colours():
            draw_entity(lake, shown.id)
    if args.json:
        say_json(dataclasses.asdict(shown))
    else:
        _say(shown)
    return 0


def _commit(config: Config, args: argparse.Namespace) -> int:
    from jobs.log import say_commit
    from lakehouse.commits.manifest import read_commit
    from lakehouse.commits.naming import find_commit
    from lakehouse.place import find_home, require_lake

    home = find_home(config)
    require_lake(home)
    commit = find_commit(home, args.entity)
    was = read_commit(home, commit.parents[0]) if commit.parents else None
    say_commit(commit, as_json=args.json, was=was)
    return 0


def _say(shown: Shown) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    entity = shown.entity or {"entity_id": f"{shown.id} (no entity)"}
    rows = [[name, _text(value)] for name, value in entity.items() if value not in (None, [], {})]
    cut = say_table(["entity", ""], rows, width=width)
    seen = ["source", "drop_name", "path", "status", "landed_at", "rule", "reason"]
    cut += _part("seen as", shown.landed, seen, width)
    cut += _part("measured", shown.dimensions, ["dimension", "value", "unit", "extractor"], width)
    said = [
        dict(row) | {"answer": answer_said(row), "holds": "now" if row["is_current"] else ""} for row in shown.opinions
    ]
    times = ["event_time", "ingest_time", "opinion_id"]
    cut += _part("said", said, ["question_id", "holds", "actor_id", "answer", "votes", *times], width)
    held = ["name", "dataset_id", "split", "label", "excluded_because", "detail"]
    cut += _part("datasets", shown.datasets, held, width)
    cut += _part("rejected", shown.rejected, ["step", "rule", "reason", "rejected_at"], width)
    if cut:
        sys.stderr.write(f"petrel: {cut:,} long values are cut; --json shows them whole\n")


def _part(title: str, rows: Sequence[Row], columns: Sequence[str], width: int | None) -> int:
    """Write a table; return how many values of it were cut."""
    if not rows:
        return 0
    # A column that nothing stands in tells nothing.
    kept = [name for name in columns if any(row[name] not in (None, "") for row in rows)]
    say()
    say(f"{title}:")
    cells = [["" if row[name] is None else _text(row[name]) for name in kept] for row in rows]
    return say_table(kept, cells, width=width)


def answer_said(row: Row) -> str:
    """Return what an opinion says as a table shows it."""
    if row["op"] == "retract":
        return f"takes back {row['target_opinion_id']}"
    if row["op"] == "abstain":
        return "abstains"
    if row["regions"] is not None:
        return f"{len(row['regions'])} regions: {', '.join(row['labels'] or [])}"
    return next((_text(row[name]) for name in VALUES if row[name] is not None), row["value_kind"])


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join("=".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
