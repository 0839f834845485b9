"""Both engines make the same opinions, row for row, and go on where the other one stopped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lakehouse.config import load_config
from lakehouse.lake import Lake, open_lake
from lakehouse.opinions.imports import find_imports
from lakehouse.opinions.retract import retract_import
from lakehouse.opinions.step import import_opinions, record_opinions, resolve_parked
from lakehouse.query import fetch
from lakehouse.tables import digest_at, head
from schemas.tables import ACTORS, BATCHES, LABEL_SETS, OPINIONS, PARKED_OPINIONS, QUESTIONS, REJECTED
from tests.making import Clock, entity_id, small_lake
from tests.opinions.conftest import SETTINGS
from tests.opinions.making import csv_source, jsonl_source, land

WRITTEN = (ACTORS, QUESTIONS, LABEL_SETS, OPINIONS, PARKED_OPINIONS, REJECTED, BATCHES)

BOX = (
    '{"subject": "%s", "question": "cells", '
    '"regions": [{"kind": "box", "label": "x", "x": 1, "y": 2, "w": 3, "h": 4}]}\n'
)
FIRST = "subject,label\n1.jpg,cat\n3.jpg,dog\n9.jpg,cat\n1.jpg,\n"
SECOND = "subject,label\n1.jpg,lynx\n3.jpg,dog\n2.jpg,a\n2.jpg,b\n"
THIRD = "subject,label\n1.jpg,cat\n3.jpg,dog\n"
VOTES = "subject,label\n1.jpg,cat\n1.jpg,cat\n1.jpg,dog\n"
PREDICTED = [{"entity_id": entity_id("dog/3.jpg"), "probabilities": {"dog": 0.75, "cat": 0.25}}]


def tell_everything(lake: Lake, folder: Path, *, part: slice = slice(None)) -> None:
    """Answers of every kind, in steps: votes, corrections, contradictions, boxes, parked ones, predictions."""
    labels, boxes = folder / "a.csv", BOX % "4.jpg" + BOX % "3.jpg"
    steps = [
        lambda: import_opinions(lake, csv_source(labels, FIRST)),
        lambda: import_opinions(lake, csv_source(labels, SECOND)),
        lambda: import_opinions(lake, csv_source(folder / "v.csv", VOTES, repeat="votes", actor="pool:p")),
        lambda: import_opinions(lake, jsonl_source(folder / "b.jsonl", boxes, name="boxes", question="cells")),
        lambda: record_opinions(lake, PREDICTED, source="cnn", question="animal", actor="model:cnn@1"),
        lambda: land(lake, ["9.jpg"]),
        lambda: resolve_parked(lake),
        lambda: import_opinions(lake, csv_source(labels, THIRD)),
        lambda: import_opinions(lake, csv_source(folder / "fix.csv", SECOND)),
        lambda: import_opinions(lake, csv_source(labels, THIRD)),
        lambda: retract_import(lake, find_imports(lake, "fix.csv")[0]),
        lambda: import_opinions(lake, csv_source(folder / "fix.csv", SECOND)),
    ]
    for step in steps[part]:
        step()


def contents(lake: Lake) -> dict[str, str]:
    return {table.name: str(digest_at(lake, table, head(lake.root, table))) for table in WRITTEN}


@pytest.mark.spark
def test_both_engines_and_a_mix_of_them_write_equal_rows(spark, landed, tmp_path):
    found = {}
    files = tmp_path / "files"
    files.mkdir()
    # Between them the mixed lakes take every step on Spark once.
    for name, engines in (("embedded", "e"), ("embedded first", "es"), ("spark first", "se")):
        root = tmp_path / name
        shutil.copytree(landed, root)
        for place, engine in enumerate(engines):
            part = slice(None) if len(engines) == 1 else (slice(0, 3), slice(3, None))[place]
            config = load_config(overrides=[f'lake.root="{root}"', *SETTINGS], environ={})
            clock = Clock()
            clock.forward(days=1 + place)
            with open_lake(config, engine={"e": "embedded", "s": "spark"}[engine], clock=clock, create=True) as lake:
                tell_everything(lake, files, part=part)
                found[name] = contents(lake)
    assert found["embedded first"] == found["embedded"]
    assert found["spark first"] == found["embedded"]
    with small_lake(tmp_path / "spark first", *SETTINGS) as lake:
        rows = fetch(lake, "select label, votes from current_opinions where value_kind = 'label' order by label, votes")
    assert [(row["label"], row["votes"]) for row in rows] == [
        ("b", 1), ("cat", 1), ("cat", 2), ("dog", 1), ("dog", 1), ("dog", 1), ("lynx", 1),
    ]
