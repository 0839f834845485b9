"""Score a model's predictions against a dataset's labels; the exit code tells whether the gates held.

    ./spark-submit.sh jobs/evaluate.py --lake my_lake --dataset digits --actor model:cnn@1 --question digit \\
        --gate 'accuracy>=0.97'
    petrel evaluate --lake my_lake --dataset digits --actor model:cnn@1 --question digit \\
        --slice origin --slice brightness:4 --gate 'accuracy>=0.97' --gate 'recall>=0.9@class=3'
    petrel evaluate --lake my_lake --dataset digits --actor model:cnn@2 --question digit \\
        --against model:cnn@1 --gate 'accuracy_gain>=0'

Exit code 0: no gate failed (one with too few members, or whose limit lies in the interval of the number, is
`inconclusive` and fails nothing); 3: a gate failed; 1: it could not be computed.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from lakehouse.errors import ConfigError
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.config import Config
    from lakehouse.evaluation.gates import Gate
    from lakehouse.lake import Lake

GATE = re.compile(
    r"\s*(?P<metric>\w+)\s*(?P<operator>>=|<=)\s*(?P<threshold>-?(\d+\.?\d*|\.\d+)(e-?\d+)?)\s*(?:@\s*(?P<slice>.+?)\s*)?"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    parser.add_argument("--dataset", required=True, help="name of a dataset (the version built last) or a version id")
    parser.add_argument("--actor", required=True, help="whose answers are scored, for example model:cnn@1")
    parser.add_argument("--question", required=True, help="the question they answer")
    parser.add_argument("--split", default="test", help="split to score (default: test)")
    parser.add_argument(
        "--slice",
        action="append",
        default=[],
        metavar="COLUMN[:GROUPS]",
        help="break down by this column; brightness:4 makes four groups of equal size",
    )
    parser.add_argument("--gate", action="append", default=[], metavar="METRIC>=VALUE[@SLICE]", help="what must hold")
    parser.add_argument(
        "--against",
        default="",
        metavar="ACTOR",
        help="another model: tell the differences to it, as accuracy_gain, which gates can be on too",
    )
    parser.add_argument(
        "--confidence",
        type=float,
        default=0.95,
        metavar="SHARE",
        help="a gate decides where the interval of this confidence is on one side of its limit; 0: the "
        "number alone (default: 0.95)",
    )
    parser.add_argument("--min-support", type=int, default=30, help="members a gate needs to decide (default: 30)")


def check(args: argparse.Namespace, config: Config) -> None:
    """Refuse slices and gates that cannot be, before any work."""
    from lakehouse.evaluation.slices import check_request

    check_request(args.slice, _gates(args))


def run(lake: Lake, args: argparse.Namespace) -> Receipt:
    """Run the step."""
    from lakehouse.datasets.versions.find import find_dataset
    from lakehouse.evaluation.evaluate import evaluate

    return evaluate(
        lake,
        dataset_id=find_dataset(lake, args.dataset).dataset_id,
        actor=args.actor,
        question=args.question,
        split=args.split,
        slices=args.slice,
        gates=_gates(args),
        against=args.against,
    )


def _gates(args: argparse.Namespace) -> list[Gate]:
    return [parse_gate(text, min_support=args.min_support, confidence=args.confidence) for text in args.gate]


def parse_gate(text: str, *, min_support: int, confidence: float = 0.95) -> Gate:
    """Read `accuracy>=0.97`, `recall>=0.9@class=3` or `accuracy_gain>=-0.01`.

    Raises:
        ConfigError: If the text has another form.
    """
    from lakehouse.evaluation.gates import Gate

    found = GATE.fullmatch(text)
    if found is None:
        raise ConfigError(f"--gate {text}: expected METRIC>=VALUE or METRIC<=VALUE, then @SLICE if not over all")
    return Gate(
        found["metric"], found["operator"], float(found["threshold"]), found["slice"] or "all", min_support, confidence
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
