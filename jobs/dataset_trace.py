"""Tell where a sample of a dataset comes from and why it is where it is: files, licences, opinions, measurements.

    petrel dataset trace --lake my_lake digits 4f1c09
    petrel dataset trace --lake my_lake digits@paper cat_07.png --json
    petrel dataset trace --lake my_lake my_lake/datasets/digits/3f2c.../train 4f1c09

Everything is told as the version read it, at its own pins.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jobs.common import main_of
from jobs.output import json_line, say, say_json, say_table
from jobs.show import answer_said
from lakehouse.config import Config

if TYPE_CHECKING:
    from lakehouse.tracing.trace import Trace

MEMBER = ("label", "label_share", "label_votes", "stratum", "rank_in_stratum", "bucket", "weight", "selected_because")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("dataset", help="NAME, id, NAME@TAG, or the folder of a version or split that is published")
    parser.add_argument("sample", help="entity id or its first digits (at least 6), or path or name of a landed file")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.opening import open_lake
    from lakehouse.tracing.trace import plain, trace_sample

    with open_lake(config) as lake:
        found = trace_sample(lake, args.dataset, args.sample)
    if args.json:
        say_json(plain(found))
    else:
        _say(found)
    return 0


def _say(found: Trace) -> None:
    say(f"{found.entity[0]['entity_id'] if found.entity else ''} in {found.dataset['name']} "
        f"{found.dataset['dataset_id']}, built {found.dataset['built_at']}")  # fmt: skip
    if found.excluded is not None:
        say(f"left out: {found.excluded['reason']}: {found.excluded['detail']}")
    if found.member is not None:
        told = {name: found.member[name] for name in MEMBER} | {"answer": found.member["answer_json"]}
        told |= {"made by": found.member["operation"], "with": found.member["parameters_json"]}
        _facts("selected", told)
    if found.split is not None:
        _facts("split", found.split)
    _part("landed", found.landed, ["source", "drop_name", "path", "licence", "campaign", "landed_at",
                                   "known_when_built"])  # fmt: skip
    _part("derived from", found.entity[1:], ["entity_id", "media_type", "operation"])
    said = [row | {"answer": answer_said(row), "import": row["brought_by"].get("source")} for row in found.opinions]
    _part("opinions behind its answer", said,
          ["actor_id", "actor_kind", "answer", "votes", "confidence", "event_time", "ingest_time", "import",
           "opinion_id"])  # fmt: skip
    _part("measured", found.measured, ["dimension", "value", "unit", "extractor", "extractor_version"])
    names = ["folder", "file", "row_group", "row", "rows", "published_at"]
    _part("published", found.published, [name for name in names if any(name in row for row in found.published)])


def _facts(title: str, told: Mapping[str, object]) -> None:
    rows = [(name, value if isinstance(value, int | float | str) else json_line(value))
            for name, value in told.items() if value not in (None, "", {})]  # fmt: skip
    say()
    say_table((title, ""), [(name, str(value)) for name, value in rows])


def _part(title: str, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    if rows:
        say()
        say(f"{title}:")
        say_table(names, [["" if row.get(name) is None else row[name] for name in names] for row in rows])


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
