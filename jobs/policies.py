"""Believe: register label policies, and ask what one of them believes.

    petrel labels policy strict.toml                          # registers it under the name `strict`
    petrel labels policies                                    # those that the lake knows
    petrel labels believed species --policy strict
    petrel labels believed species --policy strict --known-at 2024-05-01T00:00:00Z

A policy is a list of steps; the first one that comes to an answer decides:

    [[steps]]                     # people, at least three of them, 60 % of one mind
    kinds = ["human"]
    quorum = 3
    min_share = 0.6

    [[steps]]                     # else the expert
    actors = ["human:expert"]

    [[steps]]                     # else the model, where it is sure
    actors = ["model:cnn@3"]
    min_confidence = 0.98

Known to every lake: majority, latest, soft, union.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from jobs.common import Verb
from jobs.output import say_json, say_table
from jobs.times import instant_of
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake

SHOWN = ("subject_id", "answer", "step", "votes", "all_votes", "share", "problem")
MOST_ROWS = 50


def _arguments_of_policy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="TOML or JSON file with the policy")
    parser.add_argument("--name", default="", help="its name (default: stated in the file, else the file's)")


def _arguments_of_policies(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--known-at", metavar="TIME", help="as the lake knew them then, ISO 8601 (default: now)")


def _arguments_of_believed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("question", metavar="QUESTION", help="what was asked")
    parser.add_argument("--policy", default="majority", help="name or id of a policy (default: majority)")
    parser.add_argument("--known-at", metavar="TIME", help="as the lake knew it then, ISO 8601 (default: now)")
    parser.add_argument("--valid-at", metavar="TIME", help="as had been said by then, ISO 8601 (default: all)")
    parser.add_argument("--limit", type=int, default=MOST_ROWS, help=f"rows on a terminal (default: {MOST_ROWS})")


def _policy(lake: Lake, args: argparse.Namespace) -> Receipt:
    import dataclasses

    from lakehouse.labels.policies import register_policy
    from lakehouse.labels.policy import load_policy

    found = load_policy(args.file)
    return register_policy(lake, dataclasses.replace(found, name=args.name) if args.name else found)


def _policies(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    from lakehouse.labels.policies import registered
    from lakehouse.labels.presets import BUILT_IN

    rows = [(name, policy, "") for name, policy in BUILT_IN.items()]
    rows += [
        (each.policy.name, each.policy, f"{each.since:%Y-%m-%d %H:%M:%S}")
        for each in registered(lake, known_at=instant_of("--known-at", args.known_at))
    ]
    if args.json:
        for name, policy, since in rows:
            say_json({"name": name, "policy_id": policy.policy_id, "since": since or None, **policy.canonical()})
    else:
        say_table(
            ["name", "policy_id", "since", "policy"],
            [[name, policy.policy_id, since or "built in", policy.to_json()] for name, policy, since in rows],
        )
    return iter(())


def _believed(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    from lakehouse.labels.believed import labels
    from lakehouse.query import query

    found = labels(
        lake, args.question, args.policy, known_at=instant_of("--known-at", args.known_at),
        valid_at=instant_of("--valid-at", args.valid_at),
    )  # fmt: skip
    ordered = query(lake, "select * from found order by subject_id", inputs={"found": found})
    left = args.limit
    rows: list[list[object]] = []
    for batch in lake.engine.stream(ordered):
        for row in batch.to_pylist():
            if args.json:
                say_json({**row, "label_votes": dict(row["label_votes"] or ())})
            elif len(rows) < left:
                rows.append(["" if value is None else value for value in (answer_text(row, name) for name in SHOWN)])
    if not args.json:
        say_table(SHOWN, rows)
    return iter(())


def answer_text(row: dict[str, object], name: str) -> object:
    """Return a value of a row of what is believed as a table shows it; `answer` is the value whatever its kind."""
    if name != "answer":
        return row[name]
    regions = row["regions"]
    if isinstance(regions, list):
        labels = row["labels"] if isinstance(row["labels"], list) else []
        return f"{len(regions)} regions: {', '.join(labels)}"
    values = (row[each] for each in ("label", "labels", "number", "text", "ranking"))
    found = next((value for value in values if value is not None), None)
    return json.dumps(found, ensure_ascii=False) if isinstance(found, list) else found


_WHAT = (__doc__ or "").partition("\n")[2]

POLICY = Verb("Register a label policy.\n" + _WHAT, _arguments_of_policy, _policy)
POLICIES = Verb("Show the label policies that the lake knows.", _arguments_of_policies, _policies)
BELIEVED = Verb("Ask what a policy believes.\n" + _WHAT, _arguments_of_believed, _believed)
