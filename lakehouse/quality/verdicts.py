"""Verdicts: which suites do not hold now, and that no dataset is built on what they are about."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from lakehouse.errors import CheckFailedError, ConcurrentWriteError, ConfigError, printable
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import fetch
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, step
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.inserted import Inserted
from lakehouse.tables.read import digest_at, head, pin_heads
from schemas.tables import BY_NAME, ENTITIES, ENTITY_SOURCES, LANDED_FILES, QUALITY_RESULTS, REJECTED

STEP = "quality"

BEFORE: Mapping[str, tuple[str, ...]] = {ENTITIES.name: (LANDED_FILES.name, ENTITY_SOURCES.name, REJECTED.name)}
"""Tables that tell what came in before the rows of another, and what of it did not pass."""

LONGEST_REASON = 1_000

RETIRED = "retired"
"""In place of the step that a suite is checked after: it is checked no more."""

LAST_RUNS = """
select r.* from gold.quality_results r
join (select suite, max(run) as run from gold.quality_results group by suite) newest
    on newest.suite = r.suite and newest.run = r.run
where $suite is null or r.suite = $suite
order by r.suite, r.place
"""


def last_run(lake: Lake, suite: str) -> list[dict[str, Any]]:
    """Return the results of the last run of a suite by place; none if it never ran."""
    return fetch(lake, LAST_RUNS, params={"suite": suite})


def last_runs(lake: Lake) -> list[dict[str, Any]]:
    """Return the results of the last run of every suite, by suite and place."""
    return fetch(lake, LAST_RUNS, params={"suite": None})


def failures_of(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the results that datasets wait for."""
    return [row for row in rows if row["blocks"] and not row["passed"] and row["allowed_because"] is None]


def said_of(row: Mapping[str, Any]) -> str:
    """Return one result in one line, for people."""
    stated = {key: value for key, value in json.loads(row["arguments_json"]).items()}
    asked = f"{row['expectation']}({', '.join(f'{key}={json.dumps(value)}' for key, value in stated.items())})"
    if row["problem"]:
        found = f"could not be checked: {row['problem']}"
    elif row["failing_rows"] is not None:
        examples = ", ".join(json.loads(row["examples_json"] or "[]")[:3])
        found = f"{row['failing_rows']:,} of {row['rows']:,} rows break it{f', as {examples}' if examples else ''}"
    else:
        found = f"found {'nothing' if row['observed'] in (None, 'null') else row['observed']}"
    return printable(f"{row['suite']} {row['place']}: {asked}: {found}")


def check_reason(reason: str, *, option: str = "--allow-failed") -> None:
    """Refuse a reason that tells nobody anything, or a book.

    Raises:
        ConfigError: If it is blank, and not '', or longer than 1,000 characters.
    """
    if len(reason) > LONGEST_REASON:
        raise ConfigError(f"{option}: {len(reason):,} characters; at most {LONGEST_REASON:,}")
    if reason and not reason.strip():
        raise ConfigError(f"{option}: the reason is blank; say why failures stop nothing")


def note_others(lake: Lake, checked: Collection[str], after: Collection[str], record: StepRecord) -> None:
    """Note suites of these steps that fail and are not among those that were checked: their files may be gone."""
    others = {row["suite"]: row for row in failures_of(last_runs(lake))
              if row["suite"] not in checked and row["after"] in after}  # fmt: skip
    for name, row in others.items():
        record.note("suite_not_checked", f"suite {name} failed in its run {row['run']}, is not among those that were "
                    f"checked, and stops datasets; if it is gone for good: petrel quality --retire {name}=REASON")


def retire(lake: Lake, suite: str, reason: str) -> Receipt:
    """Take a suite that is checked no more out of use: it stops nothing from now on, until it is checked again.

    Args:
        lake: The lake.
        suite: Its name.
        reason: Why, for people; recorded as one run more.

    Returns:
        Receipt with the count retired: 1, or 0 if it was already.

    Raises:
        ConfigError: If it never ran, or the reason is blank or too long.
        ConcurrentWriteError: If another run of it was recorded at the same moment.
    """
    check_reason(reason or " ", option=f"--retire {suite}")
    rows = last_run(lake, suite)
    if not rows:
        known = sorted({row["suite"] for row in last_runs(lake)})
        raise ConfigError(f"--retire: no suite `{suite}` ever ran{nearest(suite, known)}")
    with step(lake, STEP) as record:
        record.counts = {"retired": int(rows[0]["after"] != RETIRED)}
        if record.counts["retired"]:
            record.writes.append(record_run(lake, _again(lake, rows, reason, after=RETIRED)))
    return record.finished()


def record_run(lake: Lake, rows: Sequence[Mapping[str, Any]]) -> Inserted:
    """Write the results of one run of a suite.

    Raises:
        ConcurrentWriteError: If somebody else recorded a run of this number.
    """
    written = insert_rows(lake, QUALITY_RESULTS, rows, step=STEP)
    if written.rows_new != len(rows):
        first = rows[0]
        raise ConcurrentWriteError(
            f"suite {first['suite']}: somebody recorded its run {first['run']} meanwhile; run it again"
        )
    return written


def check_quality(lake: Lake, tables: Collection[str], record: StepRecord, *, allow_failed: str = "") -> None:
    """Stop where the last run of a suite about one of these tables failed, unless somebody allows it.

    Args:
        lake: The lake.
        tables: Names of the tables that a dataset is made of; suites about what came in before entities count too.
        record: Gets a note about each failure that was allowed, and about suites that ran on other rows.
        allow_failed: Why failures are to stop nothing; recorded in gold.quality_results. '' allows none.

    Raises:
        CheckFailedError: If one failed and nobody allowed it.
        ConfigError: If the reason is blank or too long.
        ConcurrentWriteError: If another run of the same suite was recorded at the same moment.
    """
    check_reason(allow_failed)
    if digest_at(lake, QUALITY_RESULTS, head(lake.home, QUALITY_RESULTS)).rows == 0:
        return
    suites: dict[str, list[dict[str, Any]]] = {}
    about = {*tables, *(each for table in tables for each in BEFORE.get(table, ()))}
    for row in last_runs(lake):
        if row["after"] != RETIRED and set(json.loads(row["digests_json"])) & about:
            suites.setdefault(row["suite"], []).append(row)
    failed = {name: rows for name, rows in suites.items() if failures_of(rows)}
    for rows in failed.values() if allow_failed else ():
        _allow(lake, rows, allow_failed, record)
    if failed and not allow_failed:
        said = [said_of(row) for rows in failed.values() for row in failures_of(rows)]
        more = f"; and {len(said) - 3} more" if len(said) > 3 else ""
        raise CheckFailedError(
            f"quality: {'; '.join(said[:3])}{more}; mend the data and run `petrel quality` again, or state with "
            "`--allow-failed REASON` why it may be so; a suite whose file is gone: petrel quality --retire NAME=REASON"
        )
    for name, rows in suites.items():
        checked = json.loads(rows[0]["digests_json"])
        if any(str(digest) != checked[table] for table, digest in _digests(lake, checked).items()):
            record.note("quality_not_of_these_rows", f"suite {name} was checked before {', '.join(checked)} changed; "
                                                     "run `petrel quality` again")  # fmt: skip


def _digests(lake: Lake, tables: Iterable[str]) -> dict[str, Any]:
    return {name: digest_at(lake, BY_NAME[name], version) for name, version in pin_heads(lake, tables).items()}


def _allow(lake: Lake, rows: list[dict[str, Any]], reason: str, record: StepRecord) -> None:
    """Record a run more, of the same outcome, with why it stops nothing."""
    record.writes.append(record_run(lake, _again(lake, rows, reason, after=rows[0]["after"])))
    for row in failures_of(rows):
        record.note("quality_failure_allowed", f"{said_of(row)}; allowed because: {printable(reason)}")


def _again(lake: Lake, rows: Iterable[Mapping[str, Any]], reason: str, *, after: str) -> list[dict[str, Any]]:
    """Return one run as a run more, with why it stops nothing."""
    given = ("row_hash", "checked_at")
    return [
        {
            **{name: value for name, value in row.items() if name not in given}, "after": after,
            "allowed_because": reason, "run": row["run"] + 1, "checked_by": lake.config.lake.author or None,
        }
        for row in rows
    ]  # fmt: skip
