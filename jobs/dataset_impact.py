"""Tell which datasets, published folders, exports and evaluations rest on something, with the members it touches.

    petrel dataset impact --lake my_lake --source camera_trap
    petrel dataset impact --lake my_lake --actor human:ada --json
    petrel dataset impact --lake my_lake --licence ""                # no licence was stated
    petrel dataset impact --lake my_lake --extractor image_pixels@1
    petrel dataset impact --lake my_lake --entity 4f1c09

Each version is asked at its own pins: an actor matters where his opinions were heard.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jobs.common import main_of
from jobs.output import say, say_json, say_table
from lakehouse.config import Config

if TYPE_CHECKING:
    from lakehouse.tracing.impact import Impact

PARTS = {
    "versions": ("name", "dataset_id", "built_at", "members", "touched", "left_out", "splits"),
    "materialisations": ("folder", "rows", "touched", "published_at"),
    "exports": ("dataset_id", "format", "to", "touched", "exported_at"),
    "evaluations": ("evaluation_id", "dataset_id", "actor_id", "question_id", "split", "touched", "evaluated_at"),
    "unknown": ("dataset_id", "problem"),
}
HELP = {
    "source": "name of a source that files were landed from",
    "actor": "id of an actor, as human:ada or model:cnn@3",
    "licence": "licence as sources state it; '' where none is stated",
    "extractor": "name of an extractor, or NAME@VERSION",
    "entity": "entity id or its first digits, or path or name of a landed file",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    given = parser.add_mutually_exclusive_group(required=True)
    for name, text in HELP.items():
        given.add_argument(f"--{name}", metavar="VALUE", help=text)


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.opening import open_lake
    from lakehouse.tracing.impact import impact_of

    kind = next(name for name in HELP if getattr(args, name) is not None)
    with open_lake(config) as lake:
        found = impact_of(lake, kind, getattr(args, kind))
    if args.json:
        say_json(dataclasses.asdict(found))
    else:
        _say(found)
    return 0


def _say(found: Impact) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    touched = sum(row["touched"] for row in found.versions)
    say(f"{found.kind} {found.value!r}: {len(found.versions)} dataset versions with {touched:,} members in all, "
        f"{len(found.materialisations)} published folders, {len(found.exports)} exports, "
        f"{len({row['evaluation_id'] for row in found.evaluations})} evaluations")  # fmt: skip
    for part, names in PARTS.items():
        rows: list[Mapping[str, Any]] = getattr(found, part)
        if rows:
            say()
            say(f"{part}:")
            say_table(names, [[_text(row.get(name)) for name in names] for row in rows], width=width)
    for row in found.versions:
        for note in row["notes"]:
            say(f"{row['name']} {row['dataset_id']}: {note}")


def _text(value: object) -> object:
    if isinstance(value, dict):
        return " ".join(f"{name}={count:,}" for name, count in value.items())
    return "" if value is None else value


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
