"""Tell where a version stands that `petrel dataset prepare` named: READY with its folder, RUNNING, or FAILED and why.

    petrel dataset get --lake my_lake 3f2c9196b1d84c0f8bd4b3a0d3a0b1de
    petrel dataset get --lake my_lake 3f2c9196b1d84c0f8bd4b3a0d3a0b1de --wait 600

exit code: 0 READY, 1 FAILED, 4 RUNNING still
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from jobs.common import main_of
from jobs.dataset_prepare import say_prepared
from lakehouse.config import Config

EXIT_RUNNING = 4
POLL_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("dataset_id", help="id of the version")
    parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="wait for it so long at most")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.opening import open_lake
    from lakehouse.preparing.states import FAILED, RUNNING, get

    deadline = time.monotonic() + args.wait
    with open_lake(config) as lake:
        found = get(lake, args.dataset_id)
        while found.state == RUNNING and time.monotonic() < deadline:
            time.sleep(POLL_S)
            found = get(lake, args.dataset_id)
    say_prepared(found, as_json=args.json)
    return {RUNNING: EXIT_RUNNING, FAILED: 1}.get(found.state, 0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
