"""A query of a person ends at its limits, and nothing of it stays."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pytest

from lakehouse.config import EngineConfig, SqlConfig
from lakehouse.errors import QueryFailedError, QueryRefusedError, TableError, VersionUnavailableError
from lakehouse.sql import user_query
from lakehouse.sql.contained import open_query, request_limits
from schemas.tables import ENTITIES

ATTACKS = (Path(__file__).parent / "resource_attacks.sql").read_text(encoding="utf-8").strip().split("\n\n")
FOR_EVER = "with recursive t(i) as (select 1 union all select i + 1 from t) select count(*) from t"
ROOT = Path(__file__).parents[2]

ATTACKING = """
import json, logging, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from lakehouse.config import SqlConfig
from lakehouse.errors import QueryFailedError
from lakehouse.sql import user_query

def attack(text):
    try:
        user_query(Path(sys.argv[1]), text, limits=SqlConfig(timeout_s=3, memory_mb=700))
    except QueryFailedError as error:
        return str(error)

logging.basicConfig(level=logging.INFO)
with ThreadPoolExecutor(4) as pool:
    print(json.dumps(list(pool.map(attack, json.loads(sys.argv[2])))))
"""

ENDLESS = "select a.i from (select unnest(range(1000000)) as i) a, (select unnest(range(1000000)) as i) b"

WAITING = """
import sys
from lakehouse.sql.contained import open_query
with open_query(sys.argv[1], sys.argv[2]) as answer:
    batches = iter(answer)
    next(batches)
    print(answer._child._process.pid, flush=True)
    sys.stdin.read()
"""


def test_an_attack_on_time_or_memory_ends_at_a_limit_in_one_line(lake_root: Path) -> None:
    assert len(ATTACKS) >= 26
    held = {path: path.read_bytes() for path in lake_root.rglob("*") if path.is_file()}
    command = [sys.executable, "-c", ATTACKING, str(lake_root), json.dumps(ATTACKS)]
    # Linux counts the memory of whoever starts a process to its peak: not that of all these tests.
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    messages = json.loads(done.stdout)
    assert len(messages) == len(ATTACKS)
    for message in messages:
        assert "\n" not in message
        # A machine that is fast enough comes to the limit of rows, or to one of the engine itself, before.
        assert re.search(r"--timeout SECONDS|--memory-mb MB|sql\.max_rows|Lists larger than 2\^32", message), message
    peaks = [int(peak) for peak in re.findall(r"peak_mb=(\d+)", done.stderr)]
    assert len(peaks) == len(ATTACKS)
    assert max(peaks) <= 700 or sys.platform != "linux"
    assert {path: path.read_bytes() for path in lake_root.rglob("*") if path.is_file()} == held


def test_many_parentheses_and_many_arms_of_a_union_are_no_attack(lake_root: Path) -> None:
    text = " union all ".join([f"select {5000 * '('}1{5000 * ')'} as one", *2500 * ["select 1"]])
    assert user_query(lake_root, text).num_rows == 2501


def test_what_a_query_leaves_on_disk_is_nothing(
    lake_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert user_query(lake_root, "select 1 as one").to_pylist() == [{"one": 1}]
    with pytest.raises(QueryFailedError, match="was stopped after 1 s"):
        user_query(lake_root, FOR_EVER, limits=SqlConfig(timeout_s=1))
    assert list(tmp_path.iterdir()) == []


def test_a_result_has_limits_of_its_own(lake_root: Path) -> None:
    many = "select unnest(range(1000)) as i"
    assert user_query(lake_root, many, limits=SqlConfig(max_rows=1000)).num_rows == 1000
    with pytest.raises(QueryFailedError, match=r"larger than 999 rows; .*--set sql.max_rows=N"):
        user_query(lake_root, many, limits=SqlConfig(max_rows=999))
    with pytest.raises(QueryFailedError, match=r"larger than 1 MB; .*--set sql.max_result_mb=N"):
        user_query(lake_root, "select repeat('x', 1000) as t, unnest(range(10000)) as i",
                   limits=SqlConfig(max_result_mb=1))


def test_rows_come_as_they_are_made_and_no_more_than_are_wanted(lake_root: Path) -> None:
    with open_query(lake_root, ENDLESS, first=3) as answer:
        assert answer.schema.names == ["i"]
        assert answer.table().num_rows == 3
    with open_query(lake_root, ENDLESS) as answer:
        assert next(iter(answer)).num_rows > 0


def test_an_answer_without_rows_has_its_columns(lake_root: Path) -> None:
    found = user_query(lake_root, "select entity_id, size_bytes from entities where false")
    assert (found.num_rows, found.schema.types) == (0, [pa.string(), pa.int64()])


def test_time_that_the_caller_takes_is_not_counted(lake_root: Path) -> None:
    with open_query(lake_root, "select unnest(range(300000)) as i") as answer:
        rows = 0
        for batch in answer:
            rows += batch.num_rows
            if rows == batch.num_rows:
                answer._child._left = 2.0
            time.sleep(0.7)
    assert rows == 300_000


def test_the_engine_gets_half_of_the_memory_or_what_the_configuration_says() -> None:
    assert request_limits(SqlConfig(memory_mb=1000), EngineConfig())["engine_mb"] == 500
    assert request_limits(SqlConfig(memory_mb=1000), EngineConfig(memory_limit_mb=300))["engine_mb"] == 300
    assert request_limits(SqlConfig(memory_mb=1000), EngineConfig(memory_limit_mb=8000))["engine_mb"] == 500


def test_errors_keep_their_kind_through_the_process(lake_root: Path, tmp_path: Path) -> None:
    with pytest.raises(QueryRefusedError, match="no table or view `entitys`; did you mean `entities`"):
        user_query(lake_root, "select * from entitys")
    with pytest.raises(QueryFailedError, match=r'column "medai_type" not found .*"media_type"') as caught:
        user_query(lake_root, "select medai_type from entities")
    assert "\n" not in str(caught.value)
    with pytest.raises(VersionUnavailableError):
        user_query(lake_root, "select * from entities", pins={ENTITIES.name: 99})
    with pytest.raises(TableError):
        user_query(tmp_path / "nowhere", "select * from entities")


def test_a_parameter_without_a_value_is_named(lake_root: Path) -> None:
    with pytest.raises(QueryFailedError, match=r"needs parameter \$least, given: \$most"):
        user_query(lake_root, "select $least", params={"most": 1})
    with pytest.raises(QueryFailedError, match=r"needs parameter \$1"):
        user_query(lake_root, "select ?")


def test_an_error_cannot_command_the_terminal(lake_root: Path) -> None:
    with pytest.raises(QueryFailedError) as caught:
        user_query(lake_root, "select cast(chr(27) || '[31m' || chr(8238) as integer)")
    assert "\\x1b[31m\\u202e" in str(caught.value)
    assert str(caught.value).isprintable()


def test_the_catalogue_holds_the_granted_names_and_nothing_else(lake_root: Path) -> None:
    shown = user_query(lake_root, "show tables;")["name"].to_pylist()
    assert {"silver.entities", "entities_wide", "labels"} <= set(shown)
    tables = user_query(lake_root, "select table_schema || '.' || table_name as name from information_schema.tables")
    assert {name.removeprefix("main.") for name in tables["name"].to_pylist()} == set(shown)
    columns = user_query(
        lake_root, "select column_name from information_schema.columns where table_schema || '.' || table_name = $name",
        params={"name": ENTITIES.name},
    )
    assert columns["column_name"].to_pylist() == list(ENTITIES.column_names)
    schemas = user_query(lake_root, "select schema_name from INFORMATION_SCHEMA.schemata order by 1").to_pylist()
    assert [row["schema_name"] for row in schemas] == ["bronze", "gold", "main", "silver"]
    text = "select 'information_schema.tables' as a"
    assert user_query(lake_root, text).to_pylist() == [{"a": "information_schema.tables"}]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_process_of_a_query_ends_with_the_one_that_asked(lake_root: Path, end: signal.Signals) -> None:
    command = [sys.executable, "-c", WAITING, str(lake_root), ENDLESS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as asker:
        assert asker.stdout is not None
        child = int(asker.stdout.readline())
        assert Path(f"/proc/{child}").exists()
        asker.send_signal(end)
        asker.wait(10)
    deadline = time.monotonic() + 10
    while _runs(child):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("moment", [0.0, 0.3, 1.5])
def test_ctrl_c_ends_a_query_with_one_line(lake_root: Path, moment: float) -> None:
    command = [sys.executable, "-m", "jobs.cli", "sql", "--lake", str(lake_root), FOR_EVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0) as asker:
        _wait_for_a_child(asker.pid)
        time.sleep(moment)
        os.killpg(asker.pid, signal.SIGINT)
        out, err = asker.communicate(timeout=20)
    assert (asker.returncode, out) == (130, "")
    assert err.startswith("petrel: interrupted")
    assert err.count("\n") == 1


def _wait_for_a_child(pid: int) -> None:
    deadline = time.monotonic() + 20
    while not Path(f"/proc/{pid}/task/{pid}/children").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_an_error_that_no_pipe_holds_is_told_and_not_waited_for(lake_root: Path) -> None:
    told = r"the query needs parameter \$k, given: \$aaaa.*\(300,0[0-9]+ characters\)"
    with pytest.raises(QueryFailedError, match=told):
        user_query(lake_root, "select $k as n", params={"a" * 300_000: 1}, limits=SqlConfig(timeout_s=10))
