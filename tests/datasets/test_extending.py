"""materialise a version that differs by members: parts of the version before are taken over, only new rows written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from lakehouse.care.erase import erase
from lakehouse.care.orphans import found_unneeded
from lakehouse.care.usage import usage
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.lake import Lake
from lakehouse.materialise.step import materialise
from lakehouse.query import fetch
from loaders import AlreadyPublishedError, CorruptionError, Layout, make_reader, read_dataset, read_manifest, verify
from tests.making import add_entities, add_opinions, entity_id, opinion, small_lake

SMALL = Layout(size_column="size_bytes", row_group_bytes=300, part_bytes=1_000)
"""About four rows in a row group, three row groups in a file."""

NAMES = [f"n{number:03d}" for number in range(120)]
ALL = {"sql": "select entity_id from entities"}


def add(lake: Lake, names: list[str]) -> None:
    add_entities(lake, names)
    for name in names:
        path = lake.root / "objects" / entity_id(name)[:2] / entity_id(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    add_opinions(lake, [opinion(name, "human:ann", "cat" if name < "n100" else "dog") for name in names])


def built(lake: Lake, **changes) -> str:
    record = {"name": "zoo", "question": "animal", "select": ALL, "split": {"ratios": {"train": 0.8, "test": 0.2}}}
    return build(lake, parse_recipe(record | changes, where="zoo.toml")).details["dataset_id"]


def parts_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def hashes_of(folder: Path) -> list[str]:
    splits = [read_manifest(folder / split) for split in sorted(read_dataset(folder).splits)]
    return [part.sha256 for split in splits for part in split.parts]


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Iterator[tuple[Lake, list[dict], Path]]:
    """v1 of 120, v2 with 12 more, v3 with a changed label, v4 without one: receipts, and a copy of v1's folder."""
    with pytest.MonkeyPatch.context() as patch, small_lake(tmp_path_factory.mktemp("story") / "lake") as lake:
        patch.setattr("lakehouse.materialise.step.LAYOUT", SMALL)
        add(lake, NAMES)
        told = [materialise(lake, built(lake))]
        copy = tmp_path_factory.mktemp("copy") / "v1"
        shutil.copytree(lake.root / told[0].details["folder"], copy)
        add(lake, [f"o{number:03d}" for number in range(12)])
        told.append(materialise(lake, built(lake)))
        add_opinions(lake, [opinion("n003", "human:bea", "dog", votes=3)])
        told.append(materialise(lake, built(lake)))
        others = {"sql": f"select entity_id from entities where entity_id <> '{entity_id('n005')}'"}
        told.append(materialise(lake, built(lake, select=others)))
        yield lake, told, copy


def test_more_members_rewrite_no_part_and_the_receipt_counts_what_was_kept(story):
    lake, (first, second, *_), copy = story
    old, new = (lake.root / told.details["folder"] for told in (first, second))
    assert "files_kept" not in first.counts
    assert second.details["extends"] == first.details["dataset_id"]
    assert second.counts == {"rows": 132, "files": len(hashes_of(new)), "files_kept": len(hashes_of(old)),
                             "rows_kept": 120, "rows_written": 12}  # fmt: skip
    assert second.notes == ()
    assert set(hashes_of(old)) < set(hashes_of(new))
    assert second.bytes_written < first.bytes_written / 4
    assert parts_of(old) == parts_of(copy), "what was published never changes"
    assert {row["format_version"] for row in fetch(lake, "select format_version from gold.materialisations")} == {1, 2}


@pytest.mark.parametrize("at", [2, 3])
def test_a_changed_label_and_a_member_that_left_rewrite_their_part_alone_which_is_told(story, at):
    lake, told, _ = story
    before, after = (set(hashes_of(lake.root / told[number].details["folder"])) for number in (at - 1, at))
    assert len(before - after) == 1
    (note,) = told[at].notes
    assert (note.rule, note.count) == ("rewritten", 1)
    assert ("values changed" if at == 2 else "members left") in note.example


def test_every_version_is_whole_holds_its_members_and_is_found_unchanged(story):
    lake, told, _ = story
    for receipt in told:
        folder = lake.root / receipt.details["folder"]
        assert verify(folder).rows == receipt.counts["rows"]
        members = {row["entity_id"]: row["label"] for row in fetch(
            lake, "select entity_id, label from gold.dataset_members where dataset_id = $id",
            params={"id": receipt.details["dataset_id"]})}  # fmt: skip
        found = {}
        for split in read_dataset(folder).splits:
            with make_reader(folder / split, batch_size=7, columns=["entity_id", "label", "text"]) as reader:
                for batch in reader:
                    found |= dict(zip(batch["entity_id"], batch["label"], strict=True))
        assert found == members
        assert not materialise(lake, receipt.details["dataset_id"]).changed


def test_a_fresh_writing_has_the_same_content_and_a_removed_folder_comes_back_as_it_was(story):
    lake, (_, second, *_), _ = story
    folder, name = lake.root / second.details["folder"], second.details["dataset_id"]
    before, extended = parts_of(folder), read_dataset(folder)
    with pytest.raises(AlreadyPublishedError, match="extends .* remove this folder"):
        materialise(lake, name, fresh=True)
    shutil.rmtree(folder)
    fresh = materialise(lake, name, fresh=True)
    assert "files_kept" not in fresh.counts
    assert read_dataset(folder).content_digest == extended.content_digest
    assert not materialise(lake, name, fresh=True).changed
    shutil.rmtree(folder)
    assert materialise(lake, name).counts == second.counts
    assert parts_of(folder) == before


def test_shared_bytes_are_told_once_and_nothing_that_is_needed_is_an_orphan(story):
    lake, told, _ = story
    found = [use for use in usage(lake) if use.by == "dataset"]
    on_disk = {(path.stat().st_ino, path.stat().st_size) for path in lake.datasets.rglob("*") if path.is_file()}
    assert sum(use.bytes for use in found) == sum(size for _, size in on_disk)
    shared = next(use for use in found if use.name == "zoo (shared by versions)")
    assert shared.files == len(
        {
            ino
            for ino, _ in on_disk
            if any(
                os.stat(path).st_ino == ino and os.stat(path).st_nlink > 1 for path in lake.datasets.rglob("*.parquet")
            )
        }
    )
    assert len(found) == 1 + len(told)
    assert found_unneeded(lake, grace=timedelta(days=1)) == []


def test_an_erased_member_leaves_every_version_that_shares_its_part(story, tmp_path):
    lake, told, _ = story
    name = entity_id("n010")
    receipt = erase(lake, entities=[name], reason="asked", published=True)
    assert receipt.counts["folders"] == len(told)
    assert not list(lake.datasets.rglob("*.parquet"))
    again = materialise(lake, built(lake))
    assert "files_kept" not in again.counts
    assert b"n010" not in b"".join(parts_of(lake.root / again.details["folder"]).values())


def test_a_damaged_version_is_not_extended_which_is_told(lake, monkeypatch):
    monkeypatch.setattr("lakehouse.materialise.step.LAYOUT", SMALL)
    add(lake, NAMES)
    folder = lake.root / materialise(lake, built(lake)).details["folder"]
    part = min(folder.rglob("part-*.parquet"))
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    add(lake, ["o000"])
    receipt = materialise(lake, built(lake))
    assert [note.rule for note in receipt.notes] == ["not_extended"]
    assert "files_kept" not in receipt.counts
    with pytest.raises(CorruptionError):
        verify(folder)
