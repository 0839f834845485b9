"""marts: SQL files over the lake -> rows of gold.mart_rows, of which only those change that new rows touch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from lakehouse.engines import Relation
from lakehouse.erasures import erased_entities
from lakehouse.errors import CheckFailedError, ConfigError, QueryFailedError
from lakehouse.lake import Lake
from lakehouse.marts.definition import NEWER, Mart
from lakehouse.marts.held import held_rows, held_runs
from lakehouse.query import fetch, newer, query
from lakehouse.steps.between_erasures import between_erasures
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, step
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.locks import lake_lock
from lakehouse.tables.read import digest_at, pin_heads
from lakehouse.verification.entries import commit_metadata
from lakehouse.verification.facts import digest_from_metadata
from lakehouse.verification.places import place_of
from lakehouse.views.marts import MartRun
from schemas.canonical import canonical_json, text_json
from schemas.tables import BY_NAME, MART_ROWS, MARTS

STEP = "marts"
LOCK = "marts"

MOST_ROWS = 1_000_000
"""Of a mart, which is compared with what is held in memory: about 1 GB."""

DIGITS = 12
"""Of a number: sums of floats differ from run to run and engine to engine in the last ones."""

CASTS = {"text": "varchar", "integer": "bigint", "number": "double", "boolean": "boolean",
         "timestamp": "timestamptz", "date": "date"}  # fmt: skip


def marts(lake: Lake, wanted: Sequence[Mart], *, whole: bool = False, check: bool = False) -> Receipt:
    """Bring marts up to date; where no table behind one has new rows, nothing is done.

    Computed are the keys that new rows touch, as the mart's `touched` says for each table; all of them where it says
    nothing of a table that changed, where rows went, where the definition is another one, and the first time. What
    comes out is the same.

    Args:
        lake: The lake.
        wanted: From `load_marts`.
        whole: Compute all rows, whatever changed.
        check: Compute all rows as well and compare: `touched` must have named every key that changed.

    Returns:
        Receipt with counts marts, unchanged, whole, touched, keys (computed anew) and changed (rows added, also those
        that say that one is gone), and a note for each mart that was computed wholly.

    Raises:
        ConfigError: If a query gives other columns than the mart states, or two rows of one key.
        QueryFailedError: If a query cannot run, or a value does not fit its column's kind.
        CheckFailedError: If `check` finds rows that differ; nothing of that mart was written.
        IngestError: If something was erased meanwhile; of that mart nothing was written.
        ConcurrentWriteError: If other runs hold the lock for too long.
        TableError: If a file of a table is missing or damaged.
    """
    with step(lake, STEP) as record, lake_lock(lake, LOCK):
        record.counts = {"marts": len(wanted), "unchanged": 0, "whole": 0, "touched": 0, "keys": 0, "changed": 0}
        for mart in wanted:
            try:
                _brought_up(lake, mart, record, whole=whole, check=check)
            except QueryFailedError as error:
                raise QueryFailedError(f"{mart.where}: {error}") from error
    return record.finished()


def _brought_up(lake: Lake, mart: Mart, record: StepRecord, *, whole: bool, check: bool) -> None:
    erased = erased_entities(lake.home)
    last = held_runs(lake).get(mart.name)
    pins = pin_heads(lake, mart.tables)
    digests = {name: str(digest_at(lake, BY_NAME[name], version)) for name, version in pins.items()}
    same = last is not None and last.definition_id == mart.definition_id()
    changed = [] if last is None else [name for name in mart.tables if last.digests.get(name) != digests[name]]
    if same and not changed and not whole and not check:
        record.counts["unchanged"] += 1
        return
    because = "--whole was given" if whole else _why_whole(lake, mart, last, changed, pins)
    held = held_rows(lake, mart.name) if same else {}
    touched = None if because or last is None else _touched(lake, mart, last, changed, pins)
    rows = _computed(lake, mart, pins, touched)
    keys = set(held) if touched is None else _keys_of(lake, mart, touched)
    news = {key: values for key, values in rows.items() if held.get(key) != values}
    gone = [key for key in held if key in keys and key not in rows]
    if check and touched is not None:
        _compare(mart, {key: each for key, each in held.items() if key not in gone} | rows, lake, pins)
    if same and not changed and not news and not gone:
        record.counts["unchanged"] += 1
        return
    run = _next_run(lake, mart, last)
    offered: dict[str, str | None] = {**news, **dict.fromkeys(gone)}
    how = "whole" if touched is None else "touched"
    said = [{"name": mart.name, "run": run, "key_json": key, "values_json": values} for key, values in offered.items()]
    told = {
        "name": mart.name, "run": run, "definition_id": mart.definition_id(),
        "first_run": last.first_run if same and last is not None else run, "doc": mart.doc, "keys": list(mart.keys),
        "columns_json": text_json(list(mart.columns.items())), "sql": mart.sql, "how": how,
        "because": because or None, "keys_touched": len(keys | rows.keys()), "rows_changed": len(offered),
        "rows": len(held) + len(news.keys() - held.keys()) - len(gone), "digests_json": canonical_json(digests),
        "pins_json": canonical_json(dict(pins)),
    }  # fmt: skip
    with between_erasures(lake, lambda: erased_entities(lake.home), erased):
        if said:
            record.writes.append(insert_rows(lake, MART_ROWS, said, step=STEP))
        # Last: rows of a run that is not told do not count.
        record.writes.append(insert_rows(lake, MARTS, [told], step=STEP))
    record.counts[how] += 1
    record.counts["keys"] += len(keys | rows.keys())
    record.counts["changed"] += len(offered)
    if because:
        record.note(f"whole_{mart.name}", f"all {len(rows):,} rows of {mart.name} were computed: {because}")


def _why_whole(lake: Lake, mart: Mart, last: MartRun | None, changed: Sequence[str], pins: dict[str, int]) -> str:
    """Return why all rows have to be computed, '' if they need not."""
    if last is None:
        return "it is new"
    if last.definition_id != mart.definition_id():
        return "its query, keys or columns, or a view or function behind it, changed"
    for name in changed:
        if name not in mart.touched:
            return f"{name} changed, and [touched] does not say which keys its rows touch"
        if not _only_grew(lake, name, last.pins[name], pins[name]):
            return f"rows of {name} went away"
    return ""


def _only_grew(lake: Lake, name: str, since: int, now: int) -> bool:
    """Return whether no commit in between took rows out; of a foreign commit nobody knows."""
    place, before = place_of(lake.home, BY_NAME[name]), -1
    for version in range(since, now + 1):
        digest = digest_from_metadata(commit_metadata(place, version), version)
        if digest is None or digest.rows < before:
            return False
        before = digest.rows
    return since <= now


def _touched(
    lake: Lake, mart: Mart, last: MartRun, changed: Sequence[str], pins: dict[str, int]
) -> Relation:
    """Return the keys that new rows touch, each once."""
    keys = _columns(mart, mart.keys)
    parts = {}
    for place, name in enumerate(changed):
        new = newer(lake, BY_NAME[name], last.pins[name])
        found = query(lake, mart.touched[name], inputs={NEWER: new}, pins=pins)
        _check_columns(mart, found, mart.keys, f"touched.{name}")
        parts[f"part_{place}"] = found
    # Without a change, as with --check, none is.
    union = " union ".join(f"select {keys} from {part}" for part in parts)
    if not parts:
        parts, union = {"part_0": _all(lake, mart, pins)}, f"select {keys} from part_0 where false"
    return lake.engine.stage(lake.engine.sql(f"select distinct {_bare(mart.keys)} from ({union}) found", parts, {}))


def _all(lake: Lake, mart: Mart, pins: dict[str, int]) -> Relation:
    found = query(lake, mart.sql, pins=pins)
    _check_columns(mart, found, tuple(mart.columns), "its query")
    return found


def _computed(lake: Lake, mart: Mart, pins: dict[str, int], touched: Relation | None) -> dict[str, str]:
    """Return key -> values as JSON, of the keys that are touched, None: of all."""
    inputs, where = {"rows": _all(lake, mart, pins)}, ""
    if touched is not None:
        inputs["touched"] = touched
        match = " and ".join(f't."{name}" is not distinct from m."{name}"' for name in mart.keys)
        where = f" where exists (select 1 from touched t where {match})"
    text = f"select {_bare(tuple(mart.columns))} from (select {_columns(mart, tuple(mart.columns))} from rows) m{where}"
    relation = lake.engine.sql(text, inputs, {})
    found: dict[str, str] = {}
    for batch in lake.engine.stream(relation):
        for row in batch.to_pylist():
            key, values = _row(mart, row)
            if key in found:
                raise ConfigError(f"{mart.where}: two rows have the key {key}; group by {', '.join(mart.keys)}")
            found[key] = values
        if len(found) > MOST_ROWS:
            raise ConfigError(f"{mart.where}: more than {MOST_ROWS:,} rows; a mart is an aggregate: use fewer keys")
    return found


def _keys_of(lake: Lake, mart: Mart, touched: Relation) -> set[str]:
    rows = fetch(lake, f"select {_bare(mart.keys)} from touched", inputs={"touched": touched})
    return {text_json([_value(mart, name, row[name]) for name in mart.keys]) for row in rows}


def _row(mart: Mart, row: dict[str, Any]) -> tuple[str, str]:
    values = [_value(mart, name, row[name]) for name in mart.columns]
    return text_json(values[: len(mart.keys)]), text_json(values[len(mart.keys) :])


def _value(mart: Mart, name: str, value: Any) -> Any:
    if isinstance(value, float):
        if value - value != 0.0:
            raise QueryFailedError(f"column {name} is {value}; say with case or nullif what to tell instead")
        return float(f"{value:.{DIGITS}g}")
    return value.isoformat() if isinstance(value, date) else value


def _compare(mart: Mart, kept: dict[str, str], lake: Lake, pins: dict[str, int]) -> None:
    wholly = _computed(lake, mart, pins, None)
    wrong = sorted(key for key in kept.keys() | wholly.keys() if kept.get(key) != wholly.get(key))
    if wrong:
        raise CheckFailedError(
            f"{mart.where}: [touched] left out {len(wrong):,} keys that changed, first {wrong[0]}: computed anew "
            f"{wholly.get(wrong[0])}, kept {kept.get(wrong[0])}; mend it, or leave it out: then all rows are computed"
        )


def _next_run(lake: Lake, mart: Mart, last: MartRun | None) -> int:
    """Return a number above every run, also above one that was killed and left rows."""
    left = fetch(lake, "select max(run) as run from gold.mart_rows where name = $name", params={"name": mart.name})
    return max(left[0]["run"] or 0, 0 if last is None else last.run) + 1


def _check_columns(mart: Mart, found: Relation, expected: Sequence[str], what: str) -> None:
    if sorted(found.columns) != sorted(expected):
        raise ConfigError(
            f"{mart.where}: {what}: expected the columns {', '.join(expected)}, found {', '.join(found.columns)}; "
            "name them with `as`"
        )


def _columns(mart: Mart, names: Sequence[str]) -> str:
    return ", ".join(f'cast("{name}" as {CASTS[mart.columns[name]]}) as "{name}"' for name in names)


def _bare(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
