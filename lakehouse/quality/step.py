"""quality: suites and the rows they are about -> gold.quality_results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakehouse.engines import Relation
from lakehouse.engines.protocol import Outcome
from lakehouse.errors import ConfigError, QueryFailedError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.quality.suite import Suite
from lakehouse.quality.verdicts import STEP, check_reason, failures_of, last_run, note_others, record_run, said_of
from lakehouse.query import Pins, query
from lakehouse.sql.contained import user_query
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, step
from lakehouse.tables.read import digest_at, pin_heads
from lakehouse.views.behind import tables_of
from schemas.canonical import canonical_json, text_json
from schemas.tables import BY_NAME, QUALITY_RESULTS


def quality(lake: Lake, suites: Sequence[Suite], *, allow_failed: str = "") -> Receipt:
    """Check suites over the lake as it is, and record what came of every expectation.

    While the last run of a suite failed, `build` and `materialise` stop that read what it is about. A run with the
    outcome of the one before it adds nothing.

    Args:
        lake: The lake.
        suites: From `load_suites`.
        allow_failed: Why failures of this run stop nothing, for people; it is recorded with them. '' allows none.

    Returns:
        Receipt with counts expectations, passed, failed and allowed, the detail verdict (`pass`, or `fail` where an
        expectation that blocks did not hold and nobody allowed it), and a note for each that did not hold and each
        suite of the same steps that failed before and was not checked now.

    Raises:
        ConfigError: If an expectation is unknown or takes other arguments, or a suite names a column that its rows do
            not have.
        QueryFailedError: If the query of a suite cannot run.
        EnvironmentProblemError: If Great Expectations is not installed.
        ConcurrentWriteError: If another run of the same suite was recorded at the same moment.
        TableError: If a file of a table is missing or damaged.
    """
    check_reason(allow_failed)
    with step(lake, STEP) as record:
        record.counts = {"expectations": 0, "passed": 0, "failed": 0, "allowed": 0}
        record.details = {"verdict": "pass"}
        for suite in suites:
            _checked(lake, suite, record, allow_failed)
        note_others(lake, {suite.name for suite in suites}, {suite.after for suite in suites}, record)
    return record.finished()


def _checked(lake: Lake, suite: Suite, record: StepRecord, allow_failed: str) -> None:
    pins = pin_heads(lake, tables_of(suite.sql))
    outcomes = lake.engine.check(_rows(lake, suite, pins), suite.expectations)
    last = last_run(lake, suite.name)
    rows = _results(lake, suite, pins, outcomes, allow_failed)
    if [_content(row) for row in rows] != [_content(row) for row in last]:
        run = last[0]["run"] + 1 if last else 1
        record.writes.append(record_run(lake, [{**row, "run": run} for row in rows]))
    failed = [row for row in rows if not row["passed"]]
    for row in failed:
        record.note("expectation_failed", said_of(row))
    record.counts["expectations"] += len(rows)
    record.counts["passed"] += len(rows) - len(failed)
    record.counts["allowed" if allow_failed else "failed"] += len(failed)
    if failures_of(rows):
        record.details["verdict"] = "fail"


def _rows(lake: Lake, suite: Suite, pins: Pins) -> Relation:
    if suite.sql == suite.reads:
        try:
            # People's SQL runs in DuckDB whichever engine does the rest.
            answer = user_query(lake.home, suite.sql, pins=pins, limits=lake.config.sql)
        except QueryFailedError as error:
            raise QueryFailedError(f"suite {suite.name}: sql: {error}") from error
        for name in answer.column_names:
            if answer.column_names.count(name) > 1:
                raise ConfigError(f"suite {suite.name}: sql: two columns are called `{name}`; rename one with `as`")
        rows = lake.engine.from_arrow(answer)
    else:
        rows = query(lake, suite.sql, pins=pins)
    if suite.columns is None:
        return rows
    for name in sorted(suite.columns):
        if name not in rows.columns:
            raise ConfigError(f"suite {suite.name}: no column `{name}` in {suite.reads}{nearest(name, rows.columns)}")
    # None where only rows are counted: something must stand there.
    names = [name for name in rows.columns if name in suite.columns] or [rows.columns[0]]
    listed = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
    return lake.engine.sql(f"select {listed} from rows", {"rows": rows}, {})


def _results(
    lake: Lake, suite: Suite, pins: Pins, outcomes: Sequence[Outcome], allow_failed: str
) -> list[dict[str, Any]]:
    digests = {name: str(digest_at(lake, BY_NAME[name], version)) for name, version in pins.items()}
    failed = any(not each.passed for each in outcomes)
    common = {
        "suite": suite.name, "after": suite.after, "reads": suite.reads, "suite_hash": suite.suite_hash(),
        "digests_json": canonical_json(digests), "allowed_because": (allow_failed or None) if failed else None,
        "pins_json": canonical_json(dict(pins)), "checked_by": lake.config.lake.author or None,
    }  # fmt: skip
    return [
        {
            **common,
            "place": each.place,
            "expectation": each.type,
            "arguments_json": canonical_json(dict(each.arguments)),
            "blocks": blocks,
            "passed": outcome.passed,
            "observed": outcome.observed or None,
            "rows": outcome.rows,
            "failing_rows": outcome.failing_rows,
            "examples_json": text_json(list(outcome.examples)) if outcome.examples else None,
            "problem": outcome.problem or None,
        }
        for each, blocks, outcome in zip(suite.expectations, suite.blocks, outcomes, strict=True)
    ]


def _content(row: dict[str, Any]) -> list[Any]:
    """Return what tells one run from another: neither its number nor when, and by whom, it was."""
    return [row[name] for name in QUALITY_RESULTS.content_columns if name != "run"]
