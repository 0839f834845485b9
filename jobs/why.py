"""Tell the whole story of one thing: where it came from, what was said of it, what is believed of it and since when.

    petrel why --lake my_lake cat_07.png
    petrel why --lake my_lake 4f1c09 --policy strict --json

Every opinion is told in the order in which the lake learned it, with what became of it: current, outdated (its actor
said something later), superseded, retracted. What each policy believed is told from the moment on at which it came to
believe it: `majority` and the policies of the lake, or those that are named. Then the datasets that have it and why,
and the folders in which these are published. `petrel show` tells less, and sooner.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jobs.common import main_of
from jobs.output import say, say_json, say_table
from jobs.policies import answer_text
from jobs.show import answer_said
from lakehouse.config import Config

if TYPE_CHECKING:
    from lakehouse.labels.story import Story


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("entity", help="entity id or its first digits (at least 6), or path or name of a landed file")
    parser.add_argument("--policy", action="append", default=[], metavar="NAME",
                        help="what this policy believed; may be repeated (default: majority and those of the lake)")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.labels.policies import policy_named
    from lakehouse.labels.story import story_of
    from lakehouse.opening import open_lake

    # A few questions: no other process is worth starting for them.
    alone = dataclasses.replace(config, engine=dataclasses.replace(config.engine, workers=1))
    with open_lake(alone) as lake:
        chosen = [policy_named(lake, name) for name in args.policy]
        story = story_of(lake, args.entity, policies=chosen or None)
    if args.json:
        say_json(_plain(dataclasses.asdict(story)))
    else:
        _say(story)
    return 0


def _say(story: Story) -> None:
    shown = story.shown
    entity = shown.entity or {"entity_id": f"{shown.id} (no entity)", "media_type": None, "origin": None}
    say(f"{entity['entity_id']}  {entity['media_type'] or ''}  {entity['origin'] or ''}".rstrip())
    _part("landed", shown.landed, ["landed_at", "source", "drop_name", "path", "status", "rule", "reason"])
    _part("measured", shown.dimensions, ["dimension", "value", "unit", "extractor", "extractor_version"])
    said = [
        {**row, "answer": answer_said(row), "import": row["brought"].get("source"), "by": (row["by"] or "")[:12],
         "opinion": row["opinion_id"][:12]}
        for row in story.said
    ]  # fmt: skip
    _part("said, in the order in which it was learned", said,
          ["ingest_time", "event_time", "question_id", "actor_id", "answer", "votes", "confidence", "status", "by",
           "reason", "import", "opinion"])  # fmt: skip
    beliefs = [
        {"since": each.since, "question": each.question, "policy": f"{each.policy} ({each.policy_id[:8]})",
         "answer": _believed(each.answer),
         "votes": "" if each.answer is None else f"{each.answer['votes']:g} of {each.answer['all_votes']:g}"}
        for each in story.beliefs
    ]  # fmt: skip
    _part("believed, each since", beliefs, ["question", "policy", "since", "answer", "votes"])
    consensus = [
        {"opinion": name[:12], "inputs": "not recorded" if inputs is None else str(inputs)}
        for name, inputs in story.consensus.items()
    ]
    _part("consensus was made from", consensus, ["opinion", "inputs"])
    _part("datasets", shown.datasets,
          ["name", "dataset_id", "built_at", "split", "label", "selected_because", "excluded_because", "detail"])
    _part("published", story.materialisations, ["name", "dataset_id", "folder", "rows", "published_at"])
    _part("rejected", shown.rejected, ["step", "rule", "reason", "rejected_at"])


def _believed(row: dict[str, Any] | None) -> object:
    return "nobody is heard" if row is None else row["problem"] or answer_text(row, "answer")


def _part(title: str, rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    if not rows:
        return
    # A column that nothing stands in tells nothing.
    kept = [name for name in columns if any(row.get(name) not in (None, "") for row in rows)]
    say()
    say(f"{title}:")
    say_table(kept, [["" if row.get(name) is None else _text(row[name]) for name in kept] for row in rows])


def _text(value: object) -> object:
    return f"{value:%Y-%m-%d %H:%M:%S}" if hasattr(value, "strftime") else value


def _plain(value: Any) -> Any:
    """Return a value with maps, which Arrow hands out as pairs, as objects."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(each, tuple) and len(each) == 2 for each in value):
            return {str(name): _plain(each) for name, each in value}
        return [_plain(each) for each in value]
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
