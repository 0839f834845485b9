"""What all commands share: arguments, opening the lake, errors as one line, the exit code.

A step is a module of this package with `add_arguments(parser)` and `run(lake, args)`, which returns a receipt or
yields several. It may have `check(args, config)`, run before the lake is opened, `MAKES_LAKE`, and `show(args)`, which
says whether it showed something in place of the step, for which no lake is needed. Another command has
`execute(config, args) -> exit code` in place of `run`. `main_of` makes a spark-submit job of either, `jobs.cli` a
subcommand of `petrel`.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import logging
import math
import os
import re
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

from jobs.output import say_receipt
from lakehouse.config import Config, load_config
from lakehouse.ending import GOES_ON, SIGNALS, end_on_signals
from lakehouse.errors import ConfigError, EnvironmentProblemError, PetrelError, printable
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake

logger = logging.getLogger("petrel")

EXIT_ERROR = 1
EXIT_GATE_FAILED = 3
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb of a command of two words that has no module of its own.

    Attributes:
        about: What a module has as its docstring.
        add_arguments: As of a module.
        run: As of a module that is a step.
    """

    about: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Lake, argparse.Namespace], Receipt | Iterator[Receipt]]


Command = ModuleType | Verb
"""What `main_of` makes a program of."""

NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")

LEAST_ADDRESSES = 4 << 30
"""With 3 GB jemalloc and OpenBLAS failed to start threads and ended the process; 4 GB was enough for every step."""


def main_of(
    module: Command,
    argv: Sequence[str] | None = None,
    *,
    engine: str = "spark",
    program: str | None = None,
    epilog: str = "",
) -> int:
    """Run a command module as a program and return its exit code.

    Args:
        module: The command.
        argv: Arguments; None means the process's own.
        engine: Engine of a step when `--engine` is not given.
        program: Name to show in the help; None takes it from the process.
        epilog: What the help ends with.
    """
    if argv is None and (code := begin_program()):
        return code
    args = parser_of(module, engine=engine, program=program, epilog=epilog).parse_args(argv)
    _configure_logging(verbose=args.verbose)

    def work() -> int:
        config = _config_of(args)
        logger.info("configuration %s", config.to_json())
        return _run_step(module, config, args) if hasattr(module, "run") else _execute(module, config, args)

    return guarded(work, verbose=args.verbose)


def parser_of(
    module: Command, *, engine: str, program: str | None, epilog: str = ""
) -> argparse.ArgumentParser:
    """Return what reads the arguments of a command; see `main_of`."""
    parser = _Parser(
        prog=program,
        description=module.about if isinstance(module, Verb) else module.__doc__,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    _add_common_arguments(parser, engine=engine if hasattr(module, "run") else None)
    return parser


def begin_program() -> int:
    """Have signals end this process in one line, and return an exit code other than 0 if it could not work."""
    end_on_signals("petrel")
    return guarded(check_address_space, verbose=False)


def check_address_space() -> int:
    """Return 0 if this process may take enough addresses.

    Raises:
        EnvironmentProblemError: If `ulimit -v` is too low: the libraries of other languages end the process then,
            without a word that a person could use.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESSES:
        raise EnvironmentProblemError(
            f"this process may take {limit / 2**30:.1f} GiB of addresses (ulimit -v), and needs "
            f"{LEAST_ADDRESSES >> 30}; run: ulimit -v unlimited; memory itself is limited with "
            "--set engine.memory_limit_mb=N"
        )
    return 0


def guarded(work: Callable[[], int], *, verbose: bool) -> int:
    """Run `work() -> exit code`; what goes wrong on purpose is told in one line."""
    try:
        return work()
    except PetrelError as error:
        if verbose:
            logger.exception("failed")
        # One line, whatever names of files are in it: they are other people's.
        said = "; ".join((str(error), *getattr(error, "__notes__", ())))  # what it was about, where others knew
        sys.stderr.write(f"petrel: {type(error).__name__}: {printable(said)}\n")
        return EXIT_ERROR
    except KeyboardInterrupt:
        sys.stderr.write(f"petrel: {SIGNALS[signal.SIGINT]}; {GOES_ON}\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left (`petrel sql ... | head`); nothing is wrong.
        sys.stderr.close()
        return 0
    except MemoryError:
        if verbose:
            logger.exception("failed")
        sys.stderr.write(
            f"petrel: EnvironmentProblemError: memory ran out; {GOES_ON} where there is more of it, or with fewer "
            "processes: --set engine.workers=1\n"
        )
        return EXIT_ERROR
    except OSError as error:
        # Full, read-only or broken: a fact about the machine, not about our code.
        if verbose:
            logger.exception("failed")
        where = f" ({printable(os.fsdecode(error.filename))})" if error.filename else ""
        sys.stderr.write(
            f"petrel: {type(error).__name__}: {error.strerror or error}{where}; what was committed stays, run the "
            "same command again when it is mended\n"
        )
        return EXIT_ERROR


def alone(config: Config) -> Config:
    """Return the configuration for a few questions, which no other process is worth starting for."""
    return dataclasses.replace(config, engine=dataclasses.replace(config.engine, workers=1))


def pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """Read the values of an option that may be repeated, each `NAME=VALUE`.

    Raises:
        ConfigError: If one has another form.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not (separator and name):
            raise ConfigError(f"{option} {text}: expected NAME=VALUE")
        if name in found:
            raise ConfigError(f"{option} {text}: {name} is given twice, also as {found[name]!r}")
        found[name] = value
    return found


def parameters(texts: Sequence[str]) -> dict[str, object]:
    """Read the parameters of a query, each `NAME=VALUE`: what looks like a number is one.

    Raises:
        ConfigError: If one has another form.
    """
    return {name: _value(text) for name, text in pairs("--param", texts).items()}


def _value(text: str) -> object:
    # Only what a number looks like: 007, 1_000, nan and 12e3456 are texts, as an identifier may be.
    if NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return int(text) if text.lstrip("-").isdigit() else float(text)
    return text


def _execute(module: Command, config: Config, args: argparse.Namespace) -> int:
    assert isinstance(module, ModuleType), "a verb is a step"
    return int(module.execute(config, args))


def _run_step(module: Command, config: Config, args: argparse.Namespace) -> int:
    from lakehouse.opening import open_lake
    from lakehouse.place import find_home, is_lake, similar_lake

    if hasattr(module, "show") and module.show(args):
        return 0
    if hasattr(module, "check"):
        module.check(args, config)
    makes, home = getattr(module, "MAKES_LAKE", False), find_home(config)
    new = makes and not is_lake(home)
    failed = False
    finish = not getattr(args, "abandon", False)
    with open_lake(config, engine=args.engine, create=makes, finish=finish) as lake:
        if new:
            # Said even where nobody asked: a mistyped name makes a lake too.
            sys.stderr.write(f"petrel: made a new lake at {home}{similar_lake(home, made=True)}\n")
        result = module.run(lake, args)
        # A step of several parts yields its receipts as they come: long work shows where it is.
        for receipt in [result] if isinstance(result, Receipt) else result:
            say_receipt(receipt, as_json=args.json)
            failed = failed or receipt.details.get("verdict") == "fail"
    return EXIT_GATE_FAILED if failed else 0


def _add_common_arguments(parser: argparse.ArgumentParser, *, engine: str | None) -> None:
    group = parser.add_argument_group("where and how")
    group.add_argument("--lake", metavar="FOLDER|URL",
                       help="folder of the lake, or its URL in a bucket (default: lake.root of the configuration)")
    group.add_argument("--branch", metavar="NAME",
                       help="branch to work on, or @COMMIT, @TAG, @{TIME} to read (default: lake.branch: main)")
    group.add_argument("--config", metavar="FILE", help="TOML file with settings; see conf/base.toml")
    group.add_argument("--set", metavar="SECTION.KEY=VALUE", action="append", default=[], help="override one setting")
    group.add_argument("--verbose", action="store_true", help="log to stderr; errors with their whole history")
    group.add_argument("--json", action="store_true", help="print JSON, one object a line; see `petrel --help`")
    if engine is not None:
        group.add_argument(
            "--engine", choices=("embedded", "spark"), default=engine, help=f"what does the work (default: {engine})"
        )


def _config_of(args: argparse.Namespace) -> Config:
    overrides = list(args.set)
    if args.lake is not None:
        # As TOML text, so that a folder called 42 stays a folder.
        escaped = args.lake.replace("\\", "\\\\").replace('"', '\\"')
        overrides.append(f'lake.root="{escaped}"')
    if args.branch is not None:
        overrides.append(f"lake.branch={json.dumps(args.branch)}")
    return load_config(args.config, overrides=overrides)


class _Parser(argparse.ArgumentParser):
    """Says of an unknown option which one was probably meant."""

    def error(self, message: str) -> NoReturn:
        unknown = next(iter(re.findall(r"unrecognized arguments: (--[^ =]+)", message)), None)
        known = [name for name in self._option_string_actions if name.startswith("--")]
        close = difflib.get_close_matches(unknown or "", known, n=1)
        super().error(printable(message) + (f"; did you mean `{close[0]}`?" if close else ""))


class _Lines(logging.Formatter):
    """Lines of a log in which nothing stands that a terminal would obey."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(printable(line) for line in super().format(record).split("\n"))


def _configure_logging(*, verbose: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines("%(asctime)s %(levelname)s %(name)s %(message)s" if verbose else "petrel: %(message)s"))
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, handlers=[handler])
