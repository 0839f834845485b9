"""insert: the one way to write. Rows are added once, by whomever, or not at all."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse.engines import Commit, Relation
from lakehouse.engines import spark as spark_engine
from lakehouse.errors import ConcurrentWriteError, TableError, TableNotFoundError, VersionUnavailableError
from lakehouse.lake import Lake
from lakehouse.query import count_rows, fetch, query
from lakehouse.tables.finish import finish_row
from lakehouse.tables.insert import insert, insert_rows
from lakehouse.tables.read import digest_at, head, open_table, table_path
from lakehouse.verification.places import place_of
from schemas.canonical import row_hash
from schemas.digest import Digest, parse_digest
from schemas.tables import ACTORS, BATCHES, ENTITIES, OPINIONS
from tests.making import START, Clock, add_entities, entity_id, small_lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def actor(name: str, **more: object) -> dict[str, object]:
    return {"actor_id": f"human:{name}", "kind": "human", "name": name, **more}


def names(lake: Lake) -> list[str]:
    return [row["name"] for row in fetch(lake, "select name from silver.actors order by name")]


def true_digest(lake: Lake) -> Digest:
    """The digest of the rows as they are in the files."""
    rows = DeltaTable(table_path(lake.root, ACTORS)).to_pyarrow_table().to_pylist()
    hashes = [row_hash(row, ACTORS) for row in rows]
    return sum((Digest(1, int(h[:16], 16), int(h[16:32], 16)) for h in hashes), Digest())


def test_the_same_rows_again_change_nothing(lake: Lake, clock: Clock) -> None:
    first = insert_rows(lake, ACTORS, [actor("ann"), actor("bob")], step="test")
    clock.forward(days=1)
    again = insert_rows(lake, ACTORS, [actor("bob"), actor("ann")], step="test")
    assert (first.rows_offered, first.rows_new) == (2, 2)
    assert (again.rows_offered, again.rows_new) == (2, 0)
    assert again.version_after == again.version_before == first.version_after
    assert again.digest == first.digest == str(true_digest(lake))


def test_only_new_keys_are_added_and_the_first_row_of_a_key_stays(lake: Lake) -> None:
    insert_rows(lake, ACTORS, [actor("ann", model_uri="first")], step="test")
    second = insert_rows(lake, ACTORS, [actor("ann", model_uri="second"), actor("bob")], step="test")
    assert second.rows_new == 1
    rows = fetch(lake, "select name, model_uri from silver.actors order by name")
    assert rows == [{"name": "ann", "model_uri": "first"}, {"name": "bob", "model_uri": None}]


@pytest.mark.parametrize("order", [1, -1])
def test_of_rows_with_one_key_the_choice_does_not_depend_on_their_order(lake: Lake, order: int) -> None:
    offered = [actor("ann", model_uri=text) for text in ("x", "y", "z")]
    insert_rows(lake, ACTORS, offered[::order], step="test")
    smallest = min(offered, key=lambda row: row_hash(row, ACTORS))
    assert fetch(lake, "select model_uri from silver.actors") == [{"model_uri": smallest["model_uri"]}]


def test_a_commit_column_tells_which_version_first_held_a_row_whatever_the_clock_says(
    lake: Lake, clock: Clock
) -> None:
    add_entities(lake, ["ann"])
    clock.forward(days=-9)
    add_entities(lake, ["bob", "ann"])
    add_entities(lake, ["eve"])
    rows = fetch(lake, "select entity_id, first_version, created_at from silver.entities order by first_version")
    first = rows[0]["first_version"]
    assert [(row["entity_id"], row["first_version"] - first) for row in rows] == [
        (entity_id(name), place) for place, name in enumerate(("ann", "bob", "eve"))
    ]
    assert rows[1]["created_at"] < rows[0]["created_at"]
    assert rows[2]["first_version"] == head(lake.root, ENTITIES)


def test_a_lake_of_another_version_is_told_by_the_column_that_it_lacks(lake: Lake) -> None:
    add_entities(lake, ["ann"])
    path = table_path(lake.root, ENTITIES)
    old = DeltaTable(path).to_pyarrow_table().drop_columns(["first_version"])
    shutil.rmtree(path)
    place_of(lake.root, ENTITIES).head.unlink()
    write_deltalake(path, old)
    for work in (lambda: fetch(lake, "select entity_id from silver.entities"), lambda: add_entities(lake, ["bob"])):
        with pytest.raises(TableError, match=r"silver\.entities: has no column first_version"):
            work()


def test_no_rows_make_no_commit(lake: Lake) -> None:
    before = head(lake.root, ACTORS)
    assert insert_rows(lake, ACTORS, [], step="test").rows_offered == 0
    assert head(lake.root, ACTORS) == before


@pytest.mark.parametrize(
    "bad", [{"kind": "robot"}, {"name": None}], ids=["breaks a CHECK", "NULL where none may be"]
)
def test_one_bad_row_refuses_all_and_writes_nothing(lake: Lake, bad: dict[str, object]) -> None:
    before = head(lake.root, ACTORS)
    rows = pa.Table.from_pylist(
        [finish_row(actor("ann"), ACTORS, START), finish_row(actor("bob") | bad, ACTORS, START)],
        schema=pa.schema([field.with_nullable(True) for field in ACTORS.arrow_schema]),
    )
    with pytest.raises(TableError, match="nothing was written"):
        insert(lake, ACTORS, lake.engine.from_arrow(rows), step="test")
    assert (head(lake.root, ACTORS), names(lake)) == (before, [])


def test_counts_that_do_not_balance_are_refused(lake: Lake) -> None:
    row = {
        "batch_id": "b", "source": "s", "system": "", "content_id": "c", "content_sha256": "d", "format": "csv",
        "options_json": "{}", "importer_version": 1, "rows_read": 3, "rows_new": 1, "rows_same": 1,
        "rows_rejected": 0, "rows_unmatched": 0, "ordinal": 1,
    }
    with pytest.raises(TableError, match="nothing was written"):
        insert_rows(lake, BATCHES, [row], step="test")


def test_digests_add_up_and_are_carried_by_the_commits(lake: Lake) -> None:
    ann = insert_rows(lake, ACTORS, [actor("ann")], step="test")
    both = insert_rows(lake, ACTORS, [actor("bob")], step="test")
    alone = Digest(1, *_halves(row_hash(actor("bob"), ACTORS)))
    assert parse_digest(both.digest) == parse_digest(ann.digest) + alone
    assert digest_at(lake, ACTORS, both.version_after) == true_digest(lake)
    assert digest_at(lake, ACTORS, ann.version_after) == parse_digest(ann.digest)
    assert digest_at(lake, ACTORS, 0) == Digest()


def test_an_old_version_shows_the_old_rows(lake: Lake) -> None:
    empty = head(lake.root, ACTORS)
    first = insert_rows(lake, ACTORS, [actor("ann")], step="test")
    insert_rows(lake, ACTORS, [actor("bob")], step="test")

    text = "select name from silver.actors"
    assert fetch(lake, text, pins={ACTORS.name: empty}) == []
    assert fetch(lake, text, pins={ACTORS.name: first.version_after}) == [{"name": "ann"}]


def test_a_version_that_is_not_there_is_named(lake: Lake) -> None:
    with pytest.raises(VersionUnavailableError, match=r"silver\.actors@99.*head is 1"):
        open_table(lake.root, ACTORS, 99)


@pytest.mark.parametrize("damage", ["hole", "no JSON"])
def test_a_damaged_log_is_told_with_its_place(lake: Lake, damage: str) -> None:
    insert_rows(lake, ACTORS, [actor("ann")], step="test")
    log = table_path(lake.root, ACTORS) / "_delta_log"
    if damage == "hole":
        (log / f"{1:020}.json").unlink()
    else:
        (log / f"{2:020}.json").write_text("{nothing")
    for version in (None, 2):
        with pytest.raises(VersionUnavailableError, match=r"silver\.actors: version 2 cannot be read.*_delta_log"):
            open_table(lake.root, ACTORS, version)


@pytest.mark.parametrize("damage", [b"", b"PAR1 no more PAR1", None])
def test_a_damaged_file_of_a_table_is_an_error_of_that_table(lake: Lake, damage: bytes | None) -> None:
    insert_rows(lake, ACTORS, [actor("ann")], step="test")
    (part,) = table_path(lake.root, ACTORS).glob("*.parquet")
    part.unlink() if damage is None else part.write_bytes(damage)
    with pytest.raises(TableError, match="the files of a table cannot be read"):
        names(lake)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableNotFoundError, match=r"silver\.opinions: no table at"):
        open_table(tmp_path, OPINIONS)


class Meddler:
    """An engine before whose first `times` appends somebody without our lock commits a row."""

    def __init__(self, lake: Lake, rows: list[dict[str, object]]) -> None:
        self._engine, self._lake, self._rows = lake.engine, lake, rows
        self.attempts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def append(self, path: Path, relation: Relation, commit: Commit) -> int:
        self.attempts += 1
        if self._rows:
            row = finish_row(self._rows.pop(0), ACTORS, START)
            write_deltalake(path, pa.Table.from_pylist([row], schema=ACTORS.arrow_schema), mode="append")
        return self._engine.append(path, relation, commit)


def meddle(lake: Lake, rows: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch) -> Meddler:
    meddler = Meddler(lake, rows)
    monkeypatch.setattr(lake, "_engine", meddler)
    monkeypatch.setattr("lakehouse.tables.insert.time.sleep", lambda seconds: None)
    return meddler


def test_a_writer_without_our_lock_costs_a_second_attempt_and_no_row(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    meddler = meddle(lake, [actor("ann"), actor("eve")], monkeypatch)
    done = insert_rows(lake, ACTORS, [actor("ann"), actor("bob")], step="test")
    assert meddler.attempts == 3
    assert done.rows_new == 1
    assert names(lake) == ["ann", "bob", "eve"]
    assert done.digest == str(true_digest(lake))


def test_a_writer_who_never_stops_is_reported(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    meddle(lake, [actor(f"eve {number}") for number in range(9)], monkeypatch)
    with pytest.raises(ConcurrentWriteError, match="8 attempts met commits"):
        insert_rows(lake, ACTORS, [actor("ann")], step="test")
    assert "ann" not in names(lake)


def test_two_processes_that_write_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_some, args=(tmp_path / "lake", start)) for start in (0, 10)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    with small_lake(tmp_path / "lake") as lake:
        assert names(lake) == sorted(f"{number:03}" for number in range(30))
        assert digest_at(lake, ACTORS, head(lake.root, ACTORS)) == true_digest(lake)


def _write_some(root: Path, start: int) -> None:
    with small_lake(root) as lake:
        for number in range(start, start + 20):  # the two ranges share ten keys
            insert_rows(lake, ACTORS, [actor(f"{number:03}")], step="test")


@pytest.mark.spark
@pytest.mark.parametrize("small_bytes", [-1, 1 << 20], ids=["by delta-spark", "by delta-rs"])
def test_spark_tells_which_version_first_held_a_row(
    spark_lake: Lake, small_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_engine, "SMALL_BYTES", small_bytes)
    for names in (["ann"], ["bob", "ann"]):
        add_entities(spark_lake, names)
        rows = fetch(spark_lake, "select max(first_version) as newest from silver.entities")
        assert rows == [{"newest": head(spark_lake.root, ENTITIES)}]
    assert count_rows(spark_lake, query(spark_lake, "select distinct first_version from silver.entities")) == 2


@pytest.mark.spark
@pytest.mark.parametrize("small_bytes", [-1, 1 << 20], ids=["by delta-spark", "by delta-rs"])
def test_spark_adds_refuses_and_tries_again_like_the_other(
    spark: SparkSession, spark_lake: Lake, small_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_engine, "SMALL_BYTES", small_bytes)
    lake = spark_lake
    meddler = meddle(lake, [actor("ann")], monkeypatch)
    done = insert_rows(lake, ACTORS, [actor("ann"), actor("bob")], step="test")
    assert (meddler.attempts, done.rows_new, names(lake)) == (2, 1, ["ann", "bob"])
    assert done.digest == str(true_digest(lake))
    with pytest.raises(TableError, match=r"(?s)rows refused: .*nothing was written"):
        insert_rows(lake, ACTORS, [actor("eve", kind="robot")], step="test")
    again = insert_rows(lake, ACTORS, [actor("bob"), actor("ann")], step="test")
    assert (again.rows_new, again.version_after) == (0, done.version_after)
    assert count_rows(lake, lake.engine.from_arrow(pa.table({"a": [1, None]}))) == 2
    assert "spark.databricks.delta.maxCommitAttempts" not in spark.conf.getAll  # settings of others are left alone


def _halves(text: str) -> tuple[int, int]:
    return int(text[:16], 16), int(text[16:32], 16)
