"""Show who holds the locks of a lake in a bucket, and take one from a holder that is gone.

    petrel locks --lake s3://bucket/lake
    petrel locks --lake s3://bucket/lake --release silver.opinions

A lock whose holder died frees itself once its lease is over (`lease_s` of the store, 30 s unless set). A holder that
is alive and whose lock was released notices before its next commit, which it does not make. Locks of a lake in a
folder are the kernel's: they end with their process, and there is nothing to release.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence

from jobs.common import main_of
from jobs.output import say, say_json
from lakehouse.config import Config
from lakehouse.errors import ConfigError
from lakehouse.place import find_home, require_lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("--release", metavar="NAME", help="take this lock from its holder")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.tables.leases import leases, release_lease

    home = find_home(config)
    require_lake(home)
    if home.is_local:
        if args.release is not None:
            raise ConfigError(f"{home}: locks in a folder end with their process; stop the process that holds it")
        if not args.json:
            say(f"{home}: locks in a folder are the kernel's, and end with their process")
        return 0
    if args.release is not None:
        held = release_lease(home.files, args.release)
        if held is None:
            raise ConfigError(f"--release {args.release}: nobody holds it; see `petrel locks --lake {home}`")
        say(f"{args.release}: released, was held by {held.who}")
        return 0
    found = leases(home.files)
    for name, held, age_s in found:
        if args.json:
            say_json({"lock": name, **dataclasses.asdict(held), "age_s": age_s})
        else:
            over = "; its lease is over: the next one takes it" if age_s > held.lease_s else ""
            say(f"{name}: {held.who}, number {held.fence}, renewed {age_s:.0f} s ago of {held.lease_s:g} s{over}")
    if not found and not args.json:
        say("nobody holds a lock")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
