"""What comes after crops: they are predicted and scored by their own ids, and are gone when their picture is."""

from __future__ import annotations

from datetime import timedelta

import pytest

import lakehouse as lh
from lakehouse.care.erase import erase
from lakehouse.care.expire import expire
from lakehouse.errors import BytesNeededError
from tests.datasets.cells import CELLS, bring_cells, names_of, recipe, write_cells

MEMBERS = "select entity_id, label, parent_ids from gold.dataset_members where dataset_id = $id order by entity_id"


@pytest.fixture
def crops(lake, tmp_path):
    write_cells(tmp_path / "drop", CELLS)
    bring_cells(lake, tmp_path / "drop")
    lh.dimensions(lake)
    built = lh.build(lake, recipe(samples={"of": "regions"}))
    return lake, built, lh.fetch(lake, MEMBERS, params={"id": built.details["dataset_id"]})


def predict(lake, members):
    said = [{"entity_id": row["entity_id"], "label": row["label"]} for row in members]
    said[0]["label"] = "white" if said[0]["label"] == "red" else "red"
    return lh.record_opinions(lake, said, source="model", question="kind", actor="model:one@1")


def test_an_evaluation_of_crops_scores_each_and_slices_by_its_picture(crops):
    lake, built, members = crops
    receipt = predict(lake, members)
    assert (receipt.counts["new"], receipt.counts["unmatched"]) == (4, 0)
    receipt = lh.evaluate(lake, dataset_id=built.details["dataset_id"], actor="model:one@1", question="kind",
                          split="train", slices=["width"])  # fmt: skip
    assert (receipt.counts["members"], receipt.counts["answered"], receipt.details["accuracy"]) == (4, 4, "0.7500")
    notes = {note.rule: (note.count, note.example) for note in receipt.notes}
    assert notes["made_of_others"] == (4, "members are made by crop of 2 entities, whose dimensions slices go by")
    rows = lh.fetch(lake, "select slice, support from gold.evaluations where metric = 'accuracy' and slice <> 'all'")
    assert [(row["slice"], row["support"]) for row in rows] == [("width=20", 4)]


def test_crops_of_an_erased_picture_go_with_what_was_said_of_them(crops):
    lake, built, members = crops
    predict(lake, members)
    picture = next(entity for entity, name in names_of(lake).items() if name == "a")
    of_a = {row["entity_id"] for row in members if row["parent_ids"] == [picture]}
    assert len(of_a) == 3
    erase(lake, entities=[picture], reason="asked")
    left = lh.fetch(lake, MEMBERS, params={"id": built.details["dataset_id"]})
    assert {row["entity_id"] for row in left} == {row["entity_id"] for row in members} - of_a
    said = {row["subject_id"] for row in lh.fetch(lake, "select subject_id from silver.opinions")}
    assert not said & (of_a | {picture})
    # What is left is whole, and can be published.
    assert lh.materialise(lake, built.details["dataset_id"]).counts["rows"] == 1


def test_bytes_that_crops_need_do_not_expire(crops):
    lake, _, _ = crops
    lake.clock.forward(days=9)
    with pytest.raises(BytesNeededError, match="cells .*, 2 of them"):
        expire(lake, source="cells", older_than=timedelta(days=1), reason="old")
