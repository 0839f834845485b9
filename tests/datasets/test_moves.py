"""Splits never move: through real lakes, as files come again, under other keys and in any order."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable

import numpy as np
import pytest
from PIL import Image

import lakehouse as lh
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import Select, parse_recipe
from lakehouse.errors import RecipeError
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.query import fetch
from lakehouse.tables.insert import insert_rows
from schemas.canonical import content_id
from schemas.tables import ENTITY_SOURCES
from tests.lanes import examples
from tests.making import add_entities, entity_id, small_lake

RATIOS = {"train": 0.6, "test": 0.4}


def recipe(**more):
    return parse_recipe(
        {"name": "g", "seed": 1, "split": {"group": "patient", "ratios": RATIOS} | more}, where="g.toml"
    )


def deliver(lake, number: int, files: Iterable[tuple[str, str | None]]) -> None:
    """Files (bytes, patient) of one drop, as the steps land and entities would record them."""
    files = list(files)
    keys = {name: {} if key is None else {"patient": key} for name, key in reversed(files)}
    add_entities(lake, sorted(keys), groups=keys)
    rows = [
        {"entity_id": entity_id(name), "landed_id": content_id([number, name, key]), "source": f"d{number}",
         "drop_name": "main", "uri": "file:///d", "path": "p", "name": name,
         "group_keys": {} if key is None else {"patient": key}}
        for name, key in files
    ]  # fmt: skip
    insert_rows(lake, ENTITY_SOURCES, rows, step="test")


def placed(lake, receipt) -> dict[str, tuple[str, str]]:
    """Entity -> (split, group)."""
    rows = fetch(
        lake,
        "select entity_id, split, group_id from gold.dataset_members where dataset_id = $id",
        params={"id": receipt.details["dataset_id"]},
    )
    return {row["entity_id"]: (row["split"], row["group_id"]) for row in rows}


def picture(path, value: int) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((4, 4, 3), value, np.uint8)).save(path)


def test_new_patients_whose_names_sort_first_and_files_sent_again_under_them_move_nobody(lake, tmp_path):
    drops = {
        "d1": {f"p{patient:02}_{shot}.png": (3 * patient + shot, f"P{patient:02}")
               for patient in range(20) for shot in range(3)},
        # One new picture and the bytes of one that is there, both of a new name for the patient.
        "d2": {f"{name}{patient:02}.png": (value, f"A{patient:02}")
               for patient in range(20) for name, value in (("new", 100 + patient), ("again", 3 * patient))},
    }  # fmt: skip
    for folder, files in drops.items():
        for name, (value, _) in files.items():
            picture(tmp_path / folder / name, value)
        lines = [f"{name},{patient}" for name, (_, patient) in files.items()]
        (tmp_path / folder / "meta.csv").write_text("\n".join(["path,patient", *lines]))
    found = []
    for folder in ("d1", "d2"):
        source = lh.Source(
            name=folder, folder=str(tmp_path / folder), sidecar="meta.csv", group_keys={"patient": "patient"}
        )
        land(lake, source)
        entities(lake)
        found.append(placed(lake, build(lake, recipe())))
    old, new = found
    assert (len(old), len(new)) == (60, 80)
    assert {entity: new[entity][0] for entity in old} == {entity: split for entity, (split, _) in old.items()}
    assert {group for _, group in new.values()} == {f"A{patient:02}" for patient in range(20)}
    assert len(set(new.values())) == 20  # no group is in two splits


def joined_pair(lake) -> tuple[list[str], list[str]]:
    """Deliver two patients whose places differ, build, and let one file join them; returns older and younger files."""
    for number in range(30):
        deliver(lake, number, [(f"{number}a", f"K{number:02}"), (f"{number}b", f"K{number:02}")])
    first = placed(lake, build(lake, recipe()))
    older = "0a"
    split = first[entity_id(older)][0]
    younger = next(f"{n}a" for n in range(1, 30) if first[entity_id(f"{n}a")][0] != split)
    deliver(lake, 99, [(younger, "K00")])
    return [older, "0b"], [younger, younger[:-1] + "b"]


def test_two_old_groups_that_turn_out_to_be_one_stop_the_build_and_are_named(lake):
    _, younger = joined_pair(lake)
    key = f"K{int(younger[0][:-1]):02}"
    with pytest.raises(RecipeError) as caught:
        build(lake, recipe())
    told = str(caught.value)
    assert f"K00 and {key} are one group now ({entity_id(younger[0])} is of K00 and {key})" in told
    assert "2 members are in another split: 2 from " in told
    assert 'on_join = "keep"' in told
    assert len(fetch(lake, "select * from gold.datasets")) == 1


def test_kept_they_go_where_the_older_one_is_with_a_note_and_nobody_else_moves(lake, caplog):
    older, younger = joined_pair(lake)
    before = fetch(lake, "select entity_id, split from gold.dataset_members")
    receipt = build(lake, recipe(on_join="keep"))
    after = placed(lake, receipt)
    moved = {row["entity_id"] for row in before if after[row["entity_id"]][0] != row["split"]}
    assert moved == {entity_id(name) for name in younger}
    assert len({after[entity_id(name)] for name in older + younger}) == 1
    (note,) = (each for each in receipt.notes if each.rule == "moved")
    assert (note.rule, note.count) == ("moved", 2)
    assert "moved" in caplog.text
    deliver(lake, 100, [("new", "K00")])
    assert "moved" not in {note.rule for note in build(lake, recipe(on_join="keep")).notes}


def test_an_old_file_without_a_patient_that_gets_one_later_is_a_group_that_joined(lake):
    for number in range(20):
        deliver(lake, number, [(f"alone{number}", None)])
    deliver(lake, 20, [("x", "K")])
    before = placed(lake, build(lake, recipe()))
    alone = next(f"alone{n}" for n in range(20) if before[entity_id(f"alone{n}")][0] != before[entity_id("x")][0])
    deliver(lake, 21, [(alone, "K")])
    with pytest.raises(RecipeError, match=f"{entity_id(alone)} and K are one group now"):
        build(lake, recipe())
    after = placed(lake, build(lake, recipe(on_join="keep")))
    assert after[entity_id("x")][0] == after[entity_id(alone)][0] == before[entity_id(alone)][0]


def test_an_entity_that_is_selected_later_is_where_its_group_always_was(lake):
    deliver(lake, 1, [(f"a{n}", f"K{n}") for n in range(20)])
    deliver(lake, 2, [(f"b{n}", f"K{n}") for n in range(20)])
    late = {entity_id(f"b{n}") for n in range(20)}
    select = {"sql": "select entity_id from entities where entity_id in $late", "params": {"late": sorted(late)}}
    some = dataclasses.replace(recipe(), select=Select(**select))
    before = placed(lake, build(lake, some))
    after = placed(lake, build(lake, recipe()))
    assert set(before) == late
    assert {entity: after[entity] for entity in before} == before


def test_another_order_of_deliveries_that_places_a_group_elsewhere_is_another_version(tmp_path):
    found = []
    for order in ([0, 1], [1, 0], [0, 1]):
        with small_lake(tmp_path / f"lake{len(found)}") as lake:
            for number in order:
                deliver(lake, number, [[("a", "K")], [("b", "K")]][number])
            receipt = build(lake, recipe())
            found.append((receipt.details["dataset_id"], placed(lake, receipt)))
    assert found[0] == found[2]
    assert found[0][0] != found[1][0]


def test_what_was_compared_is_the_version_with_the_same_seed_ratios_and_group(lake):
    joined_pair(lake)
    other = parse_recipe({"name": "g", "seed": 2, "split": {"group": "patient", "ratios": RATIOS}}, where="g.toml")
    assert "moved" not in {note.rule for note in build(lake, other).notes}
    with pytest.raises(RecipeError, match="are one group now"):
        build(lake, recipe())


@pytest.mark.parametrize("seed", range(examples(4, long=12)))
def test_random_deliveries_through_a_lake_move_nobody_unless_the_build_names_them(tmp_path, seed):
    chance = random.Random(seed)
    with small_lake(tmp_path / "lake") as lake:
        old: dict[str, str] = {}
        for number in range(4):
            names = [
                f"{chance.randrange(25)}" if chance.random() < 0.4 else f"n{chance.randrange(10**6)}"
                for _ in range(chance.randint(1, 5))
            ]
            files = [(name, None if chance.random() < 0.2 else f"K{chance.randrange(12)}") for name in names]
            deliver(lake, number, [("first", "K0"), *files] if number == 0 else files)
            told = ""
            try:
                receipt = build(lake, recipe())
            except RecipeError as error:
                told = str(error)
                receipt = build(lake, recipe(on_join="keep"))
            new = placed(lake, receipt)
            moved = [entity for entity, split in old.items() if new[entity][0] != split]
            assert bool(moved) == bool(told)
            assert f"{len(moved)} members are in another split" in told or not moved
            assert sum(note.count for note in receipt.notes if note.rule == "moved") == len(moved)
            groups: dict[str, set[str]] = {}
            for split, group in new.values():
                groups.setdefault(group, set()).add(split)
            assert all(len(splits) == 1 for splits in groups.values())
            old = {entity: split for entity, (split, _) in new.items()}
