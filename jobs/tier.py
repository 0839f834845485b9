"""Put objects of a lake in a bucket into storage classes, by rules: hot, warm and cold.

    petrel tier --lake s3://bucket/lake --policy conf/tiers.toml      # what would move, and how many bytes
    petrel tier --lake s3://bucket/lake --apply                       # move exactly that

A policy has tables [[tiers]] with a name, the storage class as the store calls it, and a query for the entities of the
tier; the first that has an entity counts, and what none has stays where it lies. Objects are read, compared with their
hash and put again under their own names: ids, and what reads them, stay. Classes whose objects must be woken first
(GLACIER, DEEP_ARCHIVE) are refused.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from lakehouse.errors import ConfigError
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    parser.add_argument("--policy", metavar="FILE", help="TOML file with tables [[tiers]]; makes a plan")
    parser.add_argument("--apply", action="store_true", help="move what the last plan said")


def run(lake: Lake, args: argparse.Namespace) -> Receipt:
    """Plan, or apply the last plan."""
    from lakehouse.care.tiers import apply_tiers, plan_tiers, tiers_from

    if (args.policy is None) == (not args.apply):
        raise ConfigError("give one of --policy FILE, which plans, and --apply, which does what was planned")
    return apply_tiers(lake) if args.apply else plan_tiers(lake, tiers_from(args.policy))


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
