"""materialise: a dataset version as Parquet, labels and soft labels beside the bytes."""

from __future__ import annotations

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.config import load_config
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import ConcurrentWriteError, IngestError, RecipeError
from lakehouse.materialise.step import materialise
from lakehouse.opening import open_lake
from lakehouse.query import fetch
from lakehouse.tables.locks import writer_lock
from loaders import CorruptionError, make_reader, read_dataset
from loaders.publishing import drafts
from loaders.stores.files import sha256_file
from tests.making import add_entities, add_opinions, entity_id, opinion

NAMES = ["n0", "n1", "n2", "ä"]


@pytest.fixture
def zoo(lake):
    """Four entities with their bytes: n0 cat 2 of 3, n1 dog, n2 a tie that is taken, ä without an answer."""
    add_entities(lake, NAMES)
    for name in NAMES:
        path = lake.root / "objects" / entity_id(name)[:2] / entity_id(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    votes = [("n0", "cat", 2), ("n0", "öwl", 1), ("n1", "dog", 5), ("n2", "öwl", 1), ("n2", "dog", 1)]
    add_opinions(lake, [opinion(name, "pool:crowd", label, votes=n, slot=label) for name, label, n in votes])
    return lake


def built(lake, **record) -> str:
    recipe = {"name": "zoo", "split": {"ratios": {"train": 0.5, "test": 0.5}}} | record
    return build(lake, parse_recipe(recipe, where="zoo.toml")).details["dataset_id"]


def published(lake, receipt) -> pa.Table:
    """Every row that was published, with its split, by entity."""
    folder = lake.root / receipt.details["folder"]
    parts = []
    for path in sorted(folder.rglob("*.parquet")):
        rows = pq.read_table(path, partitioning=None)
        if "split" not in rows.column_names:
            rows = rows.append_column("split", pa.array([path.parent.name] * rows.num_rows, pa.string()))
        parts.append(rows)
    return pa.concat_tables(parts).sort_by("entity_id")


def by_name(rows: pa.Table) -> dict[str, dict]:
    names = {entity_id(name): name for name in NAMES}
    return {names[row["entity_id"]]: row for row in rows.to_pylist()}


def test_labels_soft_labels_and_bytes_are_published_for_every_member(zoo):
    dataset_id = built(zoo, question="animal", label={"policy": "soft"})
    receipt = materialise(zoo, "zoo")
    assert receipt.counts["rows"] == 3
    assert receipt.details["dataset_id"] == dataset_id
    rows = by_name(published(zoo, receipt))
    assert {name: (row["text"], row["label"], row["label_index"]) for name, row in rows.items()} == {
        "n0": (b"n0", "cat", 0),
        "n1": (b"n1", "dog", 1),
        "n2": (b"n2", "dog", 1),
    }
    assert rows["n0"]["label_probs"] == pytest.approx([2 / 3, 0, 1 / 3])
    assert rows["n1"]["label_probs"] == [0, 1, 0]
    assert rows["n2"]["label_probs"] == [0, 0.5, 0.5]
    splits = {row["entity_id"]: row["split"] for row in fetch(zoo, "select entity_id, split from gold.dataset_members")}
    assert {row["entity_id"]: row["split"] for row in rows.values()} == splits


def test_the_classes_are_told_in_the_order_of_their_numbers(zoo):
    built(zoo, question="animal", label={"policy": "soft"})
    receipt = materialise(zoo, "zoo")
    folder = zoo.root / receipt.details["folder"]
    for split in read_dataset(folder).splits:
        with make_reader(folder / split, batch_size=1, columns=["label", "label_index", "label_probs"]) as reader:
            assert reader.classes == ("cat", "dog", "öwl")
            assert all(reader.classes[batch["label_index"][0]] == batch["label"][0] for batch in reader)
        with make_reader(folder / split, batch_size=1, columns=["entity_id"]) as reader:
            assert reader.classes == ("cat", "dog", "öwl")


def test_without_a_question_there_are_no_classes(zoo):
    built(zoo)
    folder = zoo.root / materialise(zoo, "zoo").details["folder"]
    for split in read_dataset(folder).splits:
        with make_reader(folder / split, batch_size=1) as reader:
            assert reader.classes == ()


def test_without_a_question_there_is_no_label(zoo):
    built(zoo)
    rows = published(zoo, materialise(zoo, "zoo"))
    assert not {"label", "label_index", "label_probs"} & set(rows.column_names)
    assert sorted(rows["text"].to_pylist()) == sorted(name.encode() for name in NAMES)


def test_a_second_run_writes_nothing_and_a_removed_folder_is_published_again(zoo):
    built(zoo)
    first = materialise(zoo, "zoo")
    again = materialise(zoo, "zoo")
    assert (again.details, again.counts, again.changed) == (first.details, first.counts, False)
    before = published(zoo, first)
    shutil.rmtree(zoo.root / first.details["folder"])
    third = materialise(zoo, "zoo")
    assert third.bytes_written == first.bytes_written > 0
    assert third.rows_new == 0
    assert published(zoo, third).equals(before)
    (row,) = fetch(zoo, "select dataset_id, folder, rows, size_bytes from gold.materialisations")
    assert row == {
        "dataset_id": first.details["dataset_id"],
        "folder": first.details["folder"],
        "rows": 4,
        "size_bytes": first.bytes_written,
    }


@pytest.mark.parametrize("noted", [True, False])
def test_a_second_run_names_a_published_file_that_was_changed_and_leaves_it_as_it_is(zoo, noted):
    built(zoo)
    folder = zoo.root / materialise(zoo, "zoo").details["folder"]
    if not noted:
        shutil.rmtree(zoo.root / "_runs" / "verified")
    part = min(folder.rglob("part-*.parquet"))
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    for _ in range(2):
        with pytest.raises(CorruptionError, match=r"part-00000\.parquet is damaged: .*; remove the folder .*zoo/"):
            materialise(zoo, "zoo")
    assert part.read_bytes() == data
    shutil.rmtree(folder)
    assert materialise(zoo, "zoo").bytes_written > 0


def test_a_published_folder_that_nobody_touched_is_not_read_again(zoo, monkeypatch):
    built(zoo)
    materialise(zoo, "zoo")
    hashed = []
    monkeypatch.setattr(drafts, "sha256_file", lambda path: hashed.append(path.name) or sha256_file(path))
    assert not materialise(zoo, "zoo").changed
    assert set(hashed) == {"_manifest.json"}


def test_every_version_has_a_folder_of_its_own_and_is_found_by_its_id(zoo, clock):
    first = built(zoo)
    clock.forward(days=1)
    second = built(zoo, seed=1)
    folders = {materialise(zoo, wanted).details["folder"] for wanted in (first, second, "zoo")}
    assert folders == {f"datasets/zoo/{first}", f"datasets/zoo/{second}"}


def test_a_missing_object_is_an_error_that_names_it_and_publishes_nothing(zoo):
    dataset_id = built(zoo)
    (zoo.root / "objects" / entity_id("n1")[:2] / entity_id("n1")).unlink()
    with pytest.raises(IngestError, match=f"cannot read objects/.*{entity_id('n1')}"):
        materialise(zoo, "zoo")
    assert not (zoo.datasets / "zoo" / dataset_id).exists()
    assert fetch(zoo, "select * from gold.materialisations") == []


def test_an_object_that_is_not_its_hash_any_more_is_not_published(zoo):
    built(zoo)
    (zoo.root / "objects" / entity_id("n1")[:2] / entity_id("n1")).write_bytes(b"N1")
    with pytest.raises(Exception, match=entity_id("n1")):
        materialise(zoo, "zoo")
    assert fetch(zoo, "select * from gold.materialisations") == []


def test_a_dataset_without_members_is_never_built_hence_never_published(zoo):
    with pytest.raises(RecipeError, match=r"zoo: no entity becomes a member: .* below_quorum"):
        built(zoo, question="animal", label={"quorum": 99})
    with pytest.raises(RecipeError, match="no dataset `zoo`"):
        materialise(zoo, "zoo")


def test_an_unknown_dataset_is_an_error_that_lists_the_known_ones(zoo):
    built(zoo)
    with pytest.raises(RecipeError, match="no dataset `zo`.*known: zoo"):
        materialise(zoo, "zo")


def test_a_version_that_somebody_else_is_publishing_is_waited_for(zoo):
    dataset_id = built(zoo)
    with writer_lock(zoo.locks, f"dataset-{dataset_id}", timeout_s=1):
        config = load_config(overrides=[f'lake.root="{zoo.root}"', "engine.lock_timeout_s=0.1"], environ={})
        with open_lake(config) as impatient, pytest.raises(ConcurrentWriteError, match=dataset_id):
            materialise(impatient, dataset_id)
    assert materialise(zoo, dataset_id).counts["rows"] == 4


@pytest.mark.parametrize("name", ["part-00000.parquet", "_manifest.json"])
def test_a_published_folder_that_lost_a_file_is_told_and_not_counted_as_done(zoo, name):
    receipt = materialise(zoo, built(zoo))
    folder = zoo.root / receipt.details["folder"]
    next(folder.glob(f"*/{name}")).unlink()
    with pytest.raises(CorruptionError, match="damaged.*remove the folder"):
        materialise(zoo, "zoo")
    shutil.rmtree(folder)
    again = materialise(zoo, "zoo")
    assert again.counts == receipt.counts
    assert len(fetch(zoo, "select * from gold.materialisations")) == 1
