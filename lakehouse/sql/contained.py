"""SQL that a person wrote runs in a process of its own, which is killed when it takes too long or too much.

Three layers: the gate looks at the statement, DuckDB is closed up (no files but those of the tables that are read, for
reading alone; no network, no settings), and the process has a deadline and limits of memory, rows and disk. Where the
system keeps no account of memory (macOS), DuckDB's own limit is the only one of memory; the deadline holds everywhere.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse import errors
from lakehouse.config import EngineConfig, SqlConfig
from lakehouse.ending import removed_at_end
from lakehouse.errors import PetrelError, QueryFailedError, one_line
from lakehouse.home import Home, Root
from lakehouse.params import Params, numbered
from lakehouse.place import located
from lakehouse.sql.literals import sql_literals
from lakehouse.tensors import registered
from lakehouse.tensors.registered import called_in

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

MAX_THREADS = 8
VIEWS_LOG = "tables/gold/saved_views/_delta_log"
MADE = frozenset({f"{0:020}.json", f"{1:020}.json"})
"""Entries of a table without rows: one makes it, the other adds its constraints."""
BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); from lakehouse.sql.child import main; main()"
QUIET = {"MALLOC_ARENA_MAX": "2", "TOKIO_WORKER_THREADS": "2"}
"""Of the memory of a process with many threads, most would be room that is kept for each of them."""


class Answer:
    """The rows of a query as they come: an iterator of Arrow batches, with `schema` known before the first."""

    def __init__(self, child: _Child) -> None:
        self._child = child
        self._reader = child.open()
        self.schema: pa.Schema = self._reader.schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield batches.

        Raises:
            QueryFailedError: If the query fails, or crosses a limit.
        """
        while (batch := self._child.next(self._reader)) is not None:
            yield batch

    def table(self) -> pa.Table:
        """Return all rows."""
        import pyarrow as pa

        return pa.Table.from_batches(list(self), schema=self.schema)


def user_query(
    root: Root,
    text: str,
    *,
    params: Params | None = None,
    pins: Mapping[str, int] | None = None,
    limits: SqlConfig | None = None,
    also: Mapping[str, Root] | None = None,
) -> pa.Table:
    """Run SQL that a person wrote, read-only: gated on its syntax tree, in a process that reaches no file.

    Args:
        root: Folder or URL of the lake.
        text: One SELECT in DuckDB's dialect, or DESCRIBE, SUMMARIZE, SHOW TABLES; `$name` stands for a parameter, `?`
            for the next one of a list. With EXPLAIN before it, the plan of the query, a line a
            row; EXPLAIN ANALYZE runs it.
        params: Values of the parameters by name, or those of `?` and `$1` in order; each becomes one literal, whatever
            is in it.
        pins: As in `connect`.
        limits: Seconds, memory, rows; None takes the defaults of the configuration's section [sql].
        also: Name -> another lake that is read too, as `name.silver.opinions` and `name.labels`; arrays are decoded
            from `root` alone.

    Raises:
        QueryRefusedError: If the gate refuses it; nothing has run then.
        QueryFailedError: If DuckDB cannot run it, or it crosses a limit.
        TableError: If the files of a table are missing or damaged.
    """
    with open_query(root, text, params=params, pins=pins, limits=limits, also=also) as answer:
        return answer.table()


@contextmanager
def open_query(
    root: Root,
    text: str,
    *,
    params: Params | None = None,
    pins: Mapping[str, int] | None = None,
    limits: SqlConfig | None = None,
    engine: EngineConfig | None = None,
    first: int | None = None,
    in_order: bool = False,
    also: Mapping[str, Root] | None = None,
) -> Iterator[Answer]:
    """`user_query`, batch by batch: what the result takes in memory is a few batches.

    Args:
        root: Folder or URL of the lake.
        text: As in `user_query`.
        params: As in `user_query`.
        pins: As in `connect`.
        limits: As in `user_query`. The deadline counts while rows are waited for, not while the caller works.
        engine: Its `memory_limit_mb` bounds DuckDB's memory further, where it is set.
        first: Rows wanted at most; None wants all.
        in_order: Complete the order of the rows, so that it is the same each time (`lakehouse.sql.ordered`).
        also: As in `user_query`.

    Raises:
        QueryRefusedError: As `user_query`.
        QueryFailedError: As `user_query`; also while the rows are read.
        TableError: As `user_query`.
    """
    limits = limits or SqlConfig()
    with (
        tempfile.TemporaryDirectory(prefix="petrel-sql-", ignore_cleanup_errors=True) as scratch,
        removed_at_end(Path(scratch)),
    ):
        home = located(root)
        pins = {**dict(home.pins if home.read_only else ()), **(pins or {})}
        has_views = may_have_views(home)
        if has_views and registered.names():
            # A view may call functions of this process, which the other one has to be sent.
            text = _with_saved(home, text, pins)
        text, named = _at(home, text)
        if also:
            text, others = _of_others(text, also, first=len(named))
            named = {**named, **others}
        request = {
            "root": str(home.folder), "text": text, "at": named, "params": sql_literals(numbered(params)),
            "pins": pins, "first": first, "in_order": in_order, "scratch": scratch, "parent": os.getpid(),
            "functions": [each.sent() for each in called_in(text)], "has_views": has_views,
            "limits": request_limits(limits, engine or EngineConfig()),
        }
        child = _Child(request, limits)
        try:
            yield Answer(child)
        finally:
            child.end()


def may_have_views(home: Home) -> bool:
    """Say whether a lake may have saved views, by a look at the log of their table; costs no library."""
    if not home.is_local:
        return True
    try:
        return not MADE.issuperset(name for name in os.listdir(home.folder / VIEWS_LOG) if name.endswith(".json"))
    except FileNotFoundError:
        return True  # a branch that reads those of the line that it began on


def _with_saved(home: Home, text: str, pins: Mapping[str, int]) -> str:
    from lakehouse.views.saved import with_saved

    return with_saved(home, text, pins=pins)


def _of_others(
    text: str, also: Mapping[str, Root], *, first: int
) -> tuple[str, dict[str, tuple[str, Mapping[str, int], str]]]:
    """Return the query with names of ours for what it reads of other lakes, and what these stand for."""
    from lakehouse.sql.others import other_lakes

    return other_lakes(text, also, first=first)


def _at(home: Home, text: str) -> tuple[str, Mapping[str, object]]:
    """Return the query without names of commits, and what its new names stand for."""
    if "@" not in text:
        return text, {}
    from lakehouse.commits.at import at_commits
    from lakehouse.sql.session import ALL_NAMES

    at = at_commits(home, text, known=ALL_NAMES)
    return at.text, at.named


def request_limits(limits: SqlConfig, engine: EngineConfig) -> dict[str, Any]:
    """Return what the process is told of its limits."""
    half = limits.memory_mb // 2
    return {
        "timeout_s": limits.timeout_s, "memory_mb": limits.memory_mb, "max_rows": limits.max_rows,
        "max_result_mb": limits.max_result_mb, "temp_mb": limits.temp_mb,
        "engine_mb": min(half, engine.memory_limit_mb or half),
        "threads": min(os.cpu_count() or 1, MAX_THREADS),
    }


class _Child:
    """The process, its clock and what it said."""

    def __init__(self, request: dict[str, Any], limits: SqlConfig) -> None:
        self._limits = limits
        self._left = limits.timeout_s
        self._late = False
        status, theirs = os.pipe()
        # Our own path: what this process can import, that one can, whatever the environment says.
        here = str(Path(__file__).resolve().parents[2])
        path = [here, *(each or os.getcwd() for each in sys.path if isinstance(each, str))]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-E", "-P", "-c", BOOT, str(theirs), json.dumps(path)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=(theirs,),
                env={**os.environ, **QUIET}, process_group=0,
            )
        finally:
            os.close(theirs)
        self._status = os.fdopen(status, "rb")
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended already: `_failure` says so

    def open(self) -> Any:
        """Wait for the schema."""
        # While the process starts, not before.
        import pyarrow as pa

        with self._clock():
            try:
                return pa.ipc.open_stream(self._process.stdout)
            except (pa.ArrowInvalid, OSError) as error:
                raise (self._failure() or _cut_short(error)) from None

    def next(self, reader: Any) -> pa.RecordBatch | None:
        """Wait for a batch; None after the last."""
        import pyarrow as pa

        with self._clock():
            try:
                batch: pa.RecordBatch = reader.read_next_batch()
            except StopIteration:
                failure = self._failure()
                if failure is not None:
                    raise failure from None
                return None
            except (pa.ArrowInvalid, OSError) as error:
                raise (self._failure() or _cut_short(error)) from None
        return batch

    def end(self) -> None:
        """Kill the process if it still runs."""
        self._kill()
        for pipe in (self._process.stdin, self._process.stdout, self._status):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass
        self._reap()

    @contextmanager
    def _clock(self) -> Iterator[None]:
        started = time.monotonic()
        timer = threading.Timer(max(self._left, 0), self._kill_late)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._left -= time.monotonic() - started

    def _kill_late(self) -> None:
        self._late = True
        self._kill()

    def _kill(self) -> None:
        # Not `Popen.kill`, which would take the process away from `_reap` when it has ended already.
        if self._process.returncode is None:
            os.kill(self._process.pid, signal.SIGKILL)

    def _failure(self) -> PetrelError | None:
        """Return why there are no more rows; None if the query is done."""
        told = self._status.read()
        if told:
            answer = json.loads(told)
            if "error" not in answer:
                return None
            if answer["error"] == "memory":
                return self._memory_short(answer["message"])
            kind: type[PetrelError] = getattr(errors, answer["error"])
            return kind(answer["message"])
        code = self._reap()
        if self._late:
            return QueryFailedError(
                f"the query was stopped after {self._limits.timeout_s:g} s; ask for less, or raise the limit: "
                "--timeout SECONDS (in a configuration: [sql] timeout_s)"
            )
        return self._memory_short(f"its process ended with code {code}")

    def _reap(self) -> int:
        """Wait for the end of the process, which is near; return its code and tell what it took."""
        if self._process.returncode is None:
            _, status, usage = os.wait4(self._process.pid, 0)
            self._process.returncode = os.waitstatus_to_exitcode(status)
            # Linux counts in KiB, others in bytes.
            peak = usage.ru_maxrss >> (10 if sys.platform == "linux" else 20)
            logger.info("query ended code=%d peak_mb=%d", self._process.returncode, peak)
        return self._process.returncode

    def _memory_short(self, reason: str) -> QueryFailedError:
        return QueryFailedError(
            f"the query needs more than the {self._limits.memory_mb:,} MB that it may take ({reason}); ask for less, "
            "or raise the limit: --memory-mb MB (in a configuration: [sql] memory_mb)"
        )


def _cut_short(error: Exception) -> QueryFailedError:
    return QueryFailedError(f"the answer of the query was cut short: {one_line(error)}; ask again")
