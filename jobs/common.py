"""What all step commands share: arguments, opening the lake, errors as one line, the exit code.

A step is a module of this package with `STEP` (its name), `HELP`, `add_arguments(parser)` and
`run(lake, args) -> receipts`. `main_of` makes a spark-submit job of it, `jobs.cli` a subcommand of `petrel`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from jobs.output import say_receipts
from lakehouse.config import Config, load_config
from lakehouse.engines import ENGINES
from lakehouse.errors import PetrelError
from lakehouse.lake import Lake, open_lake
from lakehouse.receipts import Receipt
from loaders.errors import LoaderError

logger = logging.getLogger("petrel")

EXIT_ERROR = 1
EXIT_GATE_FAILED = 3


def main_of(module: ModuleType, argv: Sequence[str] | None, *, engine: str = "spark") -> int:
    """Run a step module as a program and return its exit code.

    Args:
        module: The step.
        argv: Arguments; None means the process's own.
        engine: Engine when `--engine` is not given.
    """
    parser = argparse.ArgumentParser(
        description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_common_arguments(parser, engine=engine)
    module.add_arguments(parser)
    return run_step(module, parser.parse_args(argv))


def add_common_arguments(parser: argparse.ArgumentParser, *, engine: str) -> None:
    """Add what every step takes."""
    group = parser.add_argument_group("where and how")
    group.add_argument("--lake", metavar="FOLDER", help="folder of the lake (default: lake.root of the configuration)")
    group.add_argument("--config", metavar="FILE", help="TOML file with settings; see conf/base.toml")
    group.add_argument("--set", metavar="SECTION.KEY=VALUE", action="append", default=[], help="override one setting")
    group.add_argument("--engine", choices=ENGINES, default=engine, help=f"what does the work (default: {engine})")
    group.add_argument("--json", action="store_true", help="print the receipt as one line of JSON")
    group.add_argument("--verbose", action="store_true", help="log every step to stderr; full errors")


def run_step(module: ModuleType, args: argparse.Namespace) -> int:
    """Open the lake, run the step, print its receipts; errors become one line and exit code 1."""
    configure_logging(verbose=args.verbose)

    def work() -> int:
        config = config_of(args)
        logger.info("configuration %s", config.to_json())
        with open_lake(config, engine=args.engine) as lake:
            receipts = as_list(module.run(lake, args))
        say_receipts(receipts, as_json=args.json)
        return EXIT_GATE_FAILED if any(each.details.get("verdict") == "fail" for each in receipts) else 0

    return guarded(work, verbose=args.verbose)


def guarded(work: Any, *, verbose: bool) -> int:
    """Run `work() -> exit code`; what goes wrong on purpose is told in one line."""
    try:
        return int(work())
    except (PetrelError, LoaderError) as error:
        if verbose:
            logger.exception("failed")
        sys.stderr.write(f"petrel: {type(error).__name__}: {error}\n")
        return EXIT_ERROR
    except KeyboardInterrupt:
        sys.stderr.write("petrel: interrupted; what was committed stays, run the same command again to go on\n")
        return 130
    except BrokenPipeError:
        # The reader of our output left (`petrel sql ... | head`); nothing is wrong.
        sys.stderr.close()
        return 0


def config_of(args: argparse.Namespace) -> Config:
    """Return the configuration that the arguments name."""
    overrides = list(args.set)
    if args.lake:
        # As TOML text, so that a folder called 42 stays a folder.
        escaped = args.lake.replace("\\", "\\\\").replace('"', '\\"')
        overrides.append(f'lake.root="{escaped}"')
    return load_config(args.config, overrides=overrides)


def configure_logging(*, verbose: bool) -> None:
    """Log to stderr: everything of ours, or warnings only."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )


def as_list(result: Receipt | list[Receipt]) -> list[Receipt]:
    """Return a step's result as a list."""
    return result if isinstance(result, list) else [result]


__all__ = ["EXIT_ERROR", "EXIT_GATE_FAILED", "Lake", "add_common_arguments", "guarded", "main_of", "run_step"]
