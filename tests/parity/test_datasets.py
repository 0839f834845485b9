"""What a build makes of odd votes and of columns of its own is the same on both engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.comparing.diff import diff_datasets
from lakehouse.datasets.build import build
from lakehouse.datasets.hearing.answers import heard_opinions, kind_asked, tally
from lakehouse.datasets.policies.embedding import embedding_ref
from lakehouse.datasets.preview import plan_dataset
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.datasets.versions.find import find_dataset
from lakehouse.datasets.versions.version import pin
from lakehouse.lake import Lake
from lakehouse.opinions.predictions import record_opinions
from lakehouse.query import fetch
from tests.making import add_dimension, add_entities, add_opinions, entity_id, opinion
from tests.parity.world import opened

RECIPE = parse_recipe(
    {
        "name": "zoo",
        "question": "animal",
        "label": {"policy": "soft"},
        "split": {"ratios": {"all": 1.0}},
        "select": {"sql": "select entity_id, size_bytes / 3 as third, [1, 2] as pair, null::double as x from entities"},
    },
    where="zoo.toml",
)
SAID = [("n0", "ann", "a"), ("n0", "bo", "a"), ("n0", "cy", "b"), ("n1", "ann", "b"), ("é", "bo", "c")]


def made(lake: Lake) -> list[object]:
    """Ids, classes, members and the views over votes."""
    details = build(lake, RECIPE).details
    version = find_dataset(lake, details["dataset_id"])
    columns = "select label, label_share, label_votes, fields_json from gold.dataset_members order by row_hash"
    labels = "select subject_id, label, votes, share, rank, tied_with from labels order by subject_id, rank"
    votes = "select subject_id, label, votes from opinion_votes order by subject_id, label"
    rows = [fetch(lake, text) for text in (columns, labels, votes)]
    return [details["dataset_id"], details["members_digest"], version.classes, version.fields, *map(str, rows)]


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.usefixtures("spark")
def test_votes_that_no_bigint_holds_and_own_columns_are_the_same_on_both_engines(tmp_path: Path) -> None:
    found = []
    for engine in ("embedded", "spark"):
        with opened(tmp_path / engine, "embedded") as lake:
            add_entities(lake, ["n0", "n1", "é"])
            rows = [opinion(name, f"human:{who}", label, votes=2**63 - 1) for name, who, label in SAID]
            add_opinions(lake, rows)
        with opened(tmp_path / engine, engine) as lake:
            found.append(made(lake))
    assert found[0] == found[1]
    assert "0.6666666666666666" in str(found[0])


BOX = {"kind": "box", "label": "car", "x": 0.0, "y": 0.0, "w": 2.0, "h": 2.0}
POINTS = [{"x": 1.0, "y": 1.0, "v": 2}, {"x": 5.0, "y": 1.5, "v": 1}, {"x": 5.0, "y": 5.0, "v": 0}]
EVERYTHING: dict[str, list[dict[str, object]]] = {
    "age": [{"number": 0.1}, {"number": 1e10}, {"number": -1 / 3}],
    "tags": [{"labels": ["x", "é"]}, {"labels": ["x"]}, {"labels": []}],
    "sharp": [{"bool": True}, {"bool": False}, {"bool": True}],
    "caption": [{"text": "ä"}],
    "order": [{"ranking": ["y", "x"]}],
    "place": [{"value_kind": "embedding", "value_ref": embedding_ref([1.0, 0.1])}],
    "names": [{"spans": [{"kind": "span", "label": "b", "char_start": 0, "char_end": 3}]}],
    "songs": [{"regions": [{"kind": "interval", "label": "b", "t_start": 0.1, "t_end": 1.25}]}],
    "outline": [{"regions": [{"kind": "polygon", "label": "b", "points": POINTS}], "frame_w": 9, "frame_h": 9}],
    "pose": [{"regions": [{"kind": "keypoints", "label": "b", "points": POINTS}]}],
    "traffic": [{"regions": [BOX | {"track_id": "A", "frame_start": 0, "frame_end": 3}]}],
}
"""Question -> what each of three people says about n0."""

ASKED = [
    *(("age", policy, "") for policy in ("mean", "median")), ("tags", "majority", ""), ("sharp", "majority", ""),
    *((name, "single", "") for name in ("caption", "order", "place", "names")), ("songs", "single", "intervals"),
    *(("outline", "single", task) for task in ("polygons", "masks")), ("pose", "single", "keypoints"),
    ("traffic", "single", "tracks"),
]  # fmt: skip


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.usefixtures("spark")
def test_every_kind_of_answer_is_the_same_on_both_engines(tmp_path: Path) -> None:
    """What every kind's own SQL and workers make of the same opinions; a whole build of one kind is above."""
    with opened(tmp_path / "embedded", "embedded") as lake, opened(tmp_path / "spark", "spark") as spark:
        add_entities(lake, ["n0", "n1"])
        said = [
            {"entity_id": entity_id("n0"), "question": question, "actor": f"human:{who}"} | value
            for question, values in EVERYTHING.items() for who, value in zip("abc", values, strict=False)
        ]  # fmt: skip
        record_opinions(lake, said, source="all")
        for question, policy, task in ASKED:
            label = {"policy": policy} | ({"task": task} if task else {})
            recipe = parse_recipe({"name": "zoo", "question": question, "label": label}, where="zoo.toml")
            pins = pin(lake, recipe)
            kind = kind_asked(lake, recipe, pins)
            assert kind is not None
            heard = lake.engine.arrow(heard_opinions(lake, recipe, kind, pins)[1])
            found = [
                each.engine.arrow(tally(each, recipe, kind, each.engine.from_arrow(heard))).to_pylist()
                for each in (lake, spark)
            ]
            assert found[0] == found[1], (question, policy, task)
            assert [row["problem"] for row in found[0]] == [None], (question, policy, task)


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_plans_and_differences_are_the_same_on_both_engines(tmp_path: Path) -> None:
    wanted = parse_recipe({
        "name": "zoo", "question": "animal", "split": {"ratios": {"train": 0.5, "test": 0.5}},
        "strata": {"by": ["label"], "max": 3, "cells": {"é": 2}},
    }, where="zoo.toml")  # fmt: skip
    root, names = tmp_path / "lake", [f"n{number}" for number in range(9)]
    with opened(root, "embedded") as lake:
        add_entities(lake, names)
        add_dimension(lake, "brightness", {name: place / 3 for place, name in enumerate(names)})
        add_opinions(lake, [opinion(name, "human:ann", "éb"[place % 2]) for place, name in enumerate(names[:7])])
        old = build(lake, wanted).details["dataset_id"]
        add_opinions(lake, [opinion(name, "human:bo", "b", votes=2) for name in names[:3]])
        new = build(lake, wanted).details["dataset_id"]
        add_opinions(lake, [opinion(names[8], "human:bo", "é")])
    found = []
    for engine in ("embedded", "spark"):
        with opened(root, engine) as lake:
            found.append((plan_dataset(lake, wanted), diff_datasets(lake, old, new)))
    (plan, diff), (plan_there, diff_there) = found
    assert plan_there == plan
    assert diff_there.members.to_pylist() == diff.members.to_pylist()
    assert list(diff_there.parts()) == list(diff.parts())
    assert (diff_there.old, diff_there.new, diff_there.counts) == (diff.old, diff.new, diff.counts)
    assert not plan.is_built
    assert sum(diff.counts.values()) > 0
