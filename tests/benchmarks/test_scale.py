"""The benchmark of scale runs from end to end, on a lake that verification accepts."""

from __future__ import annotations

from benchmarks.scale import __main__ as scale
from benchmarks.scale.__main__ import QUESTIONS, main
from benchmarks.scale.lakes import entities_of, make_lake
from lakehouse.config import load_config
from lakehouse.opening import open_lake
from lakehouse.query import fetch
from lakehouse.tables.digest import relation_digest
from lakehouse.tables.read import digest_at, head, pin_heads, table_path
from schemas.canonical import row_hash
from schemas.tables import DIMENSIONS, ENTITIES, OPINIONS, TABLES
from tests.lanes import examples

TIMES = examples(2, long=6)


def test_a_size_is_a_number_with_or_without_its_letter():
    assert [entities_of(each) for each in ("7", "10k", "1M")] == [7, 10_000, 1_000_000]


def test_a_generated_lake_is_whole_and_its_rows_hash_as_any_others(tmp_path):
    folder = make_lake(tmp_path / "lake", 20)
    with open_lake(load_config(overrides=[f'lake.root="{folder}"'], environ={})) as lake:
        pin_heads(lake, [table.name for table in TABLES])
        for table, rows in ((ENTITIES, 20), (DIMENSIONS, 200), (OPINIONS, 60)):
            version = head(lake.root, table)
            stated = digest_at(lake, table, version)
            found = lake.engine.scan(table_path(lake.root, table), version)
            assert (stated.rows, stated) == (rows, relation_digest(lake.engine, found))
            assert all(row["row_hash"] == row_hash(row, table) for row in lake.engine.arrow(found).to_pylist())
        assert fetch(lake, "select count(*) as n from labels where rank = 1")[0]["n"] == 20
    assert make_lake(folder, 20) == folder


def test_every_part_prints_a_row_of_the_table(tmp_path, capsys, monkeypatch):
    asked = examples(("entities_wide of one entity",), long=tuple(QUESTIONS))
    monkeypatch.setattr(scale, "QUESTIONS", {name: QUESTIONS[name] for name in asked})
    monkeypatch.setenv("PETREL__ENGINE__WORKERS", "1")  # else each of its commands gets other processes ready
    main(["--lake-size", "100", "--only", "views,build,import,repeated", "--times", f"{TIMES}",
          "--folder", str(tmp_path)])  # fmt: skip
    printed = capsys.readouterr().out
    for title in (*asked, "build", "dimensions of 100 new entities",
                  f"import {min(5, TIMES)} of ten opinions, one open lake",
                  f"import {TIMES} of ten opinions, a process each"):
        assert f"| {title} |" in printed
