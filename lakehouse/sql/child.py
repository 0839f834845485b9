"""The process that runs one query of a person: it can be killed, and it has no more than it was given.

It reads one line of JSON from stdin, writes the rows as an Arrow stream to stdout, and says how it went as one line
of JSON to the descriptor in its first argument. It ends when its parent does.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from lakehouse.labels.policy import Policy
    from lakehouse.sql.granted import GrantedFiles

UNITED = "petrel_united_"
"""How tables begin that hold what a policy that unites regions believes."""

BATCH_ROWS = 65_536

MOST_TOLD = 4_000
"""Characters of an error: a pipe holds 64 KB, and nobody reads this one before the rows have ended."""

MIB = 1 << 20

SETTINGS = (
    "SET enable_progress_bar = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET allow_persistent_secrets = false",
    "SET python_enable_replacements = false",
    "SET lock_configuration = true",
)
"""The last one keeps the others as they are."""


def main() -> None:
    """Answer the query on stdin and end; nothing runs after it."""
    # Ours alone: whatever a library prints (DuckDB draws a progress bar) must not get between the rows.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    answer = os.fdopen(int(sys.argv[1]), "w", encoding="utf-8")
    request = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    _guard(request["parent"], request["limits"])
    try:
        told = _answer(request, out)
        out.flush()
    except BaseException as error:
        told = _describe(error)
    if len(told.get("message", "")) > MOST_TOLD:
        told["message"] = f"{told['message'][:MOST_TOLD]} ... ({len(told['message']):,} characters)"
    answer.write(json.dumps(told))
    answer.flush()
    # At once: taking apart threads and buffers would only cost time.
    os._exit(0)


class _Without:
    """Says of some packages that they are not installed: pyarrow and DuckDB do without what no query needs.

    Measured: pandas takes 0.35 s, at the first conversion; numpy half of what pyarrow takes to import.
    """

    def __init__(self, names: Collection[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        """Say that there is none."""
        if name in self.names:
            raise ModuleNotFoundError(name)


def _answer(request: dict[str, Any], out: BinaryIO) -> dict[str, Any]:
    from lakehouse.engines.allowed import calls_arrays

    # pyarrow asks for it once, when it is imported.
    yours = request.get("functions", ())
    with_arrays = yours or calls_arrays(request["text"]) or request.get("has_views")
    # Functions of yours import what they like.
    always = set() if yours else {"pandas"}
    hidden = _Without(always if with_arrays else {"numpy", "pandas"})
    sys.meta_path.insert(0, hidden)
    _receive_functions(yours)
    import duckdb

    from lakehouse.engines.called import define_called_in_duckdb
    from lakehouse.engines.memory import keep_buffers
    from lakehouse.sql.session import ALL_NAMES
    from lakehouse.sql.text import ready
    from lakehouse.views.marts import CALLED

    limits = request["limits"]
    explain, text = _explained(request["text"])
    if request.get("has_views"):
        text = _with_saved(text, request)
    united: dict[str, pa.Table] = {}
    if CALLED.search(text):
        united |= _marts(text, Path(request["root"]), request["pins"])
    if "labels_at" in text.lower():
        # Its text is made for an engine, on a syntax tree.
        hidden.names = always
        text, believed = _with_beliefs(text, Path(request["root"]), request["pins"])
        united |= believed
    question = ready(text, request["params"], known={*ALL_NAMES, *united, *request.get("at", ())})
    # Extractors, which say what columns `entities_wide` has, may need it, and functions over arrays do.
    hidden.names = always
    connection = duckdb.connect(":memory:", config={"threads": limits["threads"]})
    for name, rows in united.items():
        connection.register("given", rows)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
        connection.unregister("given")
    if with_arrays:
        keep_buffers()
    define_called_in_duckdb(connection, question.text, Path(request["root"]), {})
    files = close_up(connection, question.reads - united.keys(), request, asked_by=question.text)
    _limit_memory(limits["memory_mb"] * MIB)
    text = _in_total_order(connection, question.text) if request["in_order"] else question.text
    if explain:
        return _plan(connection, f"{explain} {text}", out, limits, request["first"])
    with files.read(), connection.execute(text).to_arrow_reader(BATCH_ROWS) as reader:
        return {"rows": _stream(reader, out, limits, request["first"])}


def _explained(text: str) -> tuple[str, str]:
    """Return EXPLAIN or EXPLAIN ANALYZE, where a text begins with it, and the query behind it."""
    if "explain" not in text.lower():
        return "", text
    from lakehouse.engines.tokens import tokens

    words = [piece for piece in tokens(text)[:2] if piece.is_word]
    said = [piece.text.lower() for piece in words]
    if said[:1] != ["explain"]:
        return "", text
    count = 2 if said[1:] == ["analyze"] else 1
    return " ".join(said[:count]), text.encode()[words[count - 1].end :].decode()


def _plan(connection: Any, text: str, out: BinaryIO, limits: Mapping[str, Any], first: int | None) -> dict[str, Any]:
    import pyarrow as pa

    rows = connection.execute(text).fetchall()
    table = pa.table({"plan": pa.array([line for row in rows for line in row[1].splitlines()], pa.string())})
    return {"rows": _stream(table.to_reader(), out, limits, first)}


def _with_saved(text: str, request: dict[str, Any]) -> str:
    """Return the query with the saved views that it reads; what these read `@commit` joins what it reads so."""
    from lakehouse.commits.at import at_commits
    from lakehouse.home import home_of
    from lakehouse.sql.session import ALL_NAMES
    from lakehouse.views.saved import with_saved

    home = home_of(Path(request["root"]))
    text = with_saved(home, text, pins=request["pins"])
    at = at_commits(home, text, known=ALL_NAMES, first=len(request["at"]))
    request["at"] = {**request["at"], **at.named}
    return at.text


def _marts(text: str, root: Path, pins: Mapping[str, int]) -> dict[str, pa.Table]:
    """Return the marts that a query may read, as it names them -> their rows."""
    import duckdb

    from lakehouse.engines.delta import define_arrow_view
    from lakehouse.sql.session import define
    from lakehouse.views.marts import CALLED, PREFIX, ROWS, RUNS, runs_of, typed_rows

    called = {each.lower() for each in CALLED.findall(text)}
    with duckdb.connect(":memory:") as connection:
        define(connection, root, {"gold.marts", "gold.mart_rows"}, pins, define_table=define_arrow_view)
        runs = runs_of(connection.execute(RUNS).to_arrow_table().to_pylist())
        return {
            f"{PREFIX}{name}": typed_rows(
                run, connection.execute(ROWS, {"name": name}).to_arrow_table().to_pylist()
            )
            for name, run in runs.items()
            if name in called
        }


def _receive_functions(sent: Collection[str]) -> None:
    """Register the functions of the person who asks, as his own process has them."""
    from lakehouse.tensors import registered

    registered.close()
    for each in sent:
        from lakehouse.tensors.user import received

        registered.register(received(each))


def _with_beliefs(text: str, root: Path, pins: Mapping[str, int]) -> tuple[str, dict[str, pa.Table]]:
    """Return the text with what `labels_at` stands for, and the tables that it reads where regions are united."""
    import duckdb

    from lakehouse.engines.delta import define_arrow_view
    from lakehouse.labels.held import HELD, policy_of
    from lakehouse.sql.believed import expanded
    from lakehouse.sql.session import ALL_NAMES, define

    def opened(names: Collection[str]) -> Any:
        connection = duckdb.connect(":memory:")
        define(connection, root, names, pins, define_table=define_arrow_view)
        return connection

    with opened({"silver.actors"}) as connection:
        held = connection.execute(HELD.replace("$known_at", "null")).to_arrow_table().to_pylist()
    made: dict[str, pa.Table] = {}

    def united(policy: Policy, question: str, known_at: datetime | None, valid_at: datetime | None) -> str:
        from lakehouse.sql.united import united_rows

        name = f"{UNITED}{len(made)}"
        with opened(ALL_NAMES) as connection:
            made[name] = united_rows(connection, policy, question, known_at=known_at, valid_at=valid_at)
        return name

    return expanded(text, lambda name, known_at: policy_of(held, name, known_at=known_at), united), made


def _in_total_order(connection: Any, text: str) -> str:
    from lakehouse.sql.ordered import in_total_order

    columns = [row[0] for row in connection.execute(f"describe {text}").fetchall()]
    # Whoever wants rows in order refuses columns of one name, by the schema.
    return in_total_order(text, columns) if len(set(columns)) == len(columns) else text


def _stream(reader: pa.RecordBatchReader, out: BinaryIO, limits: Mapping[str, Any], first: int | None) -> int:
    import pyarrow as pa

    from lakehouse.errors import QueryFailedError

    rows = size = 0
    with pa.ipc.new_stream(out, reader.schema) as sink:
        for batch in reader:
            wanted = batch if first is None else batch.slice(0, first - rows)
            rows, size = rows + wanted.num_rows, size + wanted.get_total_buffer_size()
            for found, key, unit in ((rows, "max_rows", "rows"), (size >> 20, "max_result_mb", "MB")):
                if found > limits[key]:
                    raise QueryFailedError(
                        f"the result is larger than {limits[key]:,} {unit}; ask for less (limit, group by), or raise "
                        f"it: --set sql.{key}=N (in a configuration: [sql] {key})"
                    )
            sink.write_batch(wanted)
            if rows == first:
                break
    return rows


def close_up(
    connection: Any, names: Collection[str], request: Mapping[str, Any], *, asked_by: str | None = None
) -> GrantedFiles:
    """Define what the query reads and what that reads, then shut the database: no other file, no network."""
    from lakehouse.sql.granted import GrantedFiles
    from lakehouse.sql.session import ALL_NAMES, define, define_at
    from lakehouse.sql.text import CATALOGUE

    catalogue = any(name.startswith(f"{CATALOGUE}.") for name in names)
    wanted = ALL_NAMES if catalogue else names
    files = GrantedFiles(connection)
    named = request.get("at", {})
    define(connection, Path(request["root"]), set(wanted) - named.keys(), request["pins"],
           define_table=files.define_table, asked_by=None if catalogue else asked_by)
    for ours, (name, pins, *others) in named.items():
        root = Path(others[0] if others else request["root"])
        define_at(connection, root, ours, name, pins, define_table=files.define_table, asked_by=asked_by)
    if catalogue:
        _define_catalogue(connection)
    limits, scratch = request["limits"], request["scratch"].replace("'", "''")
    connection.execute(f"SET memory_limit = '{limits['engine_mb']}MiB'")
    connection.execute(f"SET temp_directory = '{scratch}'")
    connection.execute(f"SET max_temp_directory_size = '{limits['temp_mb']}MiB'")
    files.close_up(connection)
    for setting in SETTINGS:
        connection.execute(setting)
    return files


def _define_catalogue(connection: Any) -> None:
    """Copy what DuckDB knows of the granted names, and of nothing else, into tables that people may read."""
    from lakehouse.sql.session import ALL_NAMES
    from lakehouse.sql.text import CATALOGUE

    connection.execute(f"CREATE SCHEMA {CATALOGUE}")
    names = ", ".join(f"('{name}')" for name in sorted(ALL_NAMES))
    connection.execute(f"CREATE TABLE {CATALOGUE}.names AS SELECT * FROM (VALUES {names}) AS t(name)")
    granted = (
        "table_catalog = 'memory' and (case when table_schema = 'main' then '' else table_schema || '.' end "
        f"|| table_name) in (select name from {CATALOGUE}.names)"
    )
    for name in ("tables", "columns"):
        connection.execute(
            f"CREATE TABLE {CATALOGUE}.{name} AS SELECT * FROM information_schema.{name} WHERE {granted}"
        )
    connection.execute(
        f"CREATE TABLE {CATALOGUE}.schemata AS SELECT * FROM information_schema.schemata WHERE catalog_name = 'memory' "
        f"and schema_name in (select table_schema from {CATALOGUE}.tables)"
    )


def _describe(error: BaseException) -> dict[str, Any]:
    import duckdb

    from lakehouse.engines.called import tensor_error
    from lakehouse.errors import PetrelError, one_line

    if isinstance(error, PetrelError):
        return {"error": type(error).__name__, "message": str(error)}
    if isinstance(error, MemoryError | duckdb.OutOfMemoryException):
        return {"error": "memory", "message": one_line(str(error).partition("\n")[0])}
    told = tensor_error(str(error))
    if told is not None and ": MemoryError: " in str(told):
        return {"error": "memory", "message": str(told)}
    if told is not None:
        return {"error": type(told).__name__, "message": str(told)}
    if isinstance(error, duckdb.Error):
        # Without the text of the query that DuckDB adds.
        reason = one_line(str(error).partition("\n\nLINE ")[0], limit=600)
        return {"error": "QueryFailedError", "message": f"the query cannot run: {reason}"}
    return {"error": "QueryFailedError", "message": f"the query failed: {type(error).__name__}: {one_line(error)}"}


def _guard(parent: int, limits: dict[str, Any]) -> None:
    """Die with the parent, leave Ctrl-C to it, and keep processor time and files within bounds."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: even in the middle of C code
    if os.getppid() != parent:
        os._exit(1)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, limits["temp_mb"] * MIB)
    # The parent kills at the deadline; this is for a parent that was stopped.
    _lower(resource.RLIMIT_CPU, int(limits["timeout_s"] + 10) * (limits["threads"] + 1))


def _limit_memory(resident: int) -> None:
    """Let this process grow by what it lacks to `resident` bytes; only Linux says and counts that."""
    if sys.platform != "linux":
        return
    with open("/proc/self/statm") as file:
        pages = file.read().split()
    page = resource.getpagesize()
    # Of memory that is the process's own and may be written: libraries and reserved room do not count.
    _lower(resource.RLIMIT_DATA, int(pages[5]) * page + max(resident - int(pages[1]) * page, 64 * MIB))


def _lower(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _end_with_stdin() -> None:
    """Wait for the other end of stdin to close, and end at once."""
    sys.stdin.buffer.read()
    os._exit(1)
