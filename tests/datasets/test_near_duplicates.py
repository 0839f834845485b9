"""Near-duplicates in datasets: on one side of every split, or in once; nothing moves when more of them come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

import lakehouse as lh
from lakehouse.datasets.policies.embedding import embedding_ref
from lakehouse.datasets.preview import plan_dataset
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import RecipeError
from lakehouse.tables.insert import insert_rows
from schemas.tables import DIMENSIONS, ENTITIES
from tests.making import START, add_dimension, entity_id, small_lake
from tests.parity.world import opened

RATIOS = {"train": 0.5, "test": 0.5}
NAMES = [f"n{number:02}" for number in range(40)]
ALONE = {name: f"{0x0123456789ABCDEF * (2 * number + 3) % 2**64:016x}" for number, name in enumerate(NAMES)}
"""Hashes that are far from one another."""


def recipe(near: str = "dhash", *, split: Mapping[str, object] | None = None, sql: str = "", **said):
    return parse_recipe(
        {"name": "zoo", "select": {"sql": sql or "select entity_id from entities"},
         "split": {"ratios": RATIOS} | dict(split or {}), "duplicates": {"near": near} | said},
        where="zoo.toml",
    )  # fmt: skip


def bring(lake, hashes: Mapping[str, str | None], *, groups: Mapping[str, Mapping[str, str]] | None = None) -> None:
    """Pictures with a dhash; None for one that is flat."""
    rows = [
        {"entity_id": entity_id(name), "media_type": "image/png", "size_bytes": 3, "storage": "copy",
         "object_uri": f"objects/{entity_id(name)}", "group_keys": (groups or {}).get(name, {}), "origin": "real",
         "pixel_type": "uint8"}
        for name in hashes
    ]  # fmt: skip
    insert_rows(lake, ENTITIES, rows, step="test")
    measure(lake, hashes)


def measure(lake, hashes: Mapping[str, str | None]) -> None:
    rows = [
        {"entity_id": entity_id(name), "dimension": "dhash", "extractor": "image_pixels", "extractor_version": 1,
         "value_kind": "none" if value is None else "text", "text": value}
        for name, value in hashes.items()
    ]  # fmt: skip
    insert_rows(lake, DIMENSIONS, rows, step="test")


def near(value: str, *bits: int) -> str:
    """A hash with these bits turned."""
    return f"{int(value, 16) ^ sum(1 << bit for bit in bits):016x}"


def placed(lake, receipt) -> dict[str, tuple[str, str]]:
    """Entity -> (split, group)."""
    rows = lh.fetch(
        lake,
        "select entity_id, split, group_id from gold.dataset_members where dataset_id = $id",
        params={"id": receipt.details["dataset_id"]},
    )
    return {row["entity_id"]: (row["split"], row["group_id"]) for row in rows}


def left_out(lake, receipt) -> dict[str, str]:
    rows = lh.fetch(
        lake,
        "select entity_id, reason, detail from gold.dataset_exclusions where dataset_id = $id",
        params={"id": receipt.details["dataset_id"]},
    )
    assert {row["reason"] for row in rows} <= {"near_duplicate"}
    return {row["entity_id"]: row["detail"] for row in rows}


def notes(receipt) -> dict[str, int]:
    return {note.rule: note.count for note in receipt.notes if note.rule not in ("empty_split",)}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """20 pictures, each with a near-duplicate; three are a chain, one is flat, one was never measured."""
    with small_lake(tmp_path_factory.mktemp("shared") / "lake") as lake:
        pairs = {f"{name}b": near(ALONE[name], 1, 30) for name in NAMES[:19]}
        chain = {"n19c": near(ALONE["n19"], 0, 1, 2, 3), "n19d": near(ALONE["n19"], 0, 1, 2, 3, 40, 41, 42, 43)}
        bring(lake, {name: ALONE[name] for name in NAMES[:20]})
        bring(lake, pairs | chain | {"flat": None})
        bring(lake, {"slope": "0000000000000000"})
        insert_rows(lake, ENTITIES, [
            {"entity_id": entity_id("later"), "media_type": "image/png", "size_bytes": 3, "storage": "copy",
             "object_uri": "objects/later", "group_keys": {}, "origin": "real", "pixel_type": "uint8"},
        ], step="test")  # fmt: skip
        add_dimension(lake, "width", {"n00": 8, "n00b": 16}, kind="integer", extractor="image_header")
        add_dimension(lake, "height", {"n00": 8, "n00b": 16}, kind="integer", extractor="image_header")
        yield lake


def test_near_duplicates_are_one_leak_group_chains_too_and_the_receipt_counts_them(shared):
    receipt = lh.build(shared, recipe())
    found = placed(shared, receipt)
    assert len(found) == 44
    for name in NAMES[:19]:
        assert found[entity_id(name)] == found[entity_id(f"{name}b")]
    assert found[entity_id("n19")] == found[entity_id("n19c")] == found[entity_id("n19d")]
    assert len({group for _, group in found.values()}) == 23
    assert {split for split, _ in found.values()} == {"train", "test"}
    assert notes(receipt) == {"near_duplicates": 20, "too_flat_to_compare": 2, "not_compared": 1}
    assert receipt.details["near_duplicates"] == ("20 clusters of 41 entities in the lake, 21 pairs within 4 by dhash")


def test_a_smaller_distance_is_another_version_and_the_plan_tells_the_same(shared):
    closer = recipe(distance=1)
    assert plan_dataset(shared, closer).dataset_id != plan_dataset(shared, recipe()).dataset_id
    assert {note.rule: note.count for note in plan_dataset(shared, recipe()).notes}["near_duplicates"] == 20
    assert "near_duplicates" not in {note.rule for note in plan_dataset(shared, closer).notes}


def test_one_of_each_cluster_is_kept_the_largest_else_the_oldest(shared):
    receipt = lh.build(shared, recipe(action="drop"))
    out = left_out(shared, receipt)
    assert out[entity_id("n00")] == f"near-duplicate of {entity_id('n00b')}, which is kept"
    assert out.keys() == {entity_id(name) for name in ["n00", *(f"{n}b" for n in NAMES[1:19]), "n19c", "n19d"]}
    assert receipt.counts["considered"] == receipt.counts["members"] + len(out)
    # The one that is kept goes where its cluster has its place.
    assert placed(shared, receipt)[entity_id("n00b")] == placed(shared, lh.build(shared, recipe()))[entity_id("n00")]


def test_what_is_not_selected_takes_nobodys_place(shared):
    sql = f"select entity_id from entities where entity_id <> '{entity_id('n01')}'"
    assert entity_id("n01b") not in left_out(shared, lh.build(shared, recipe(action="drop", sql=sql)))


def test_more_near_duplicates_move_nobody(lake):
    bring(lake, {name: ALONE[name] for name in NAMES})
    before = placed(lake, lh.build(lake, recipe()))
    bring(lake, {f"{name}x": near(ALONE[name], 5) for name in NAMES[::8]})
    receipt = lh.build(lake, recipe())
    after = placed(lake, receipt)
    assert {entity: after[entity][0] for entity in before} == {entity: split for entity, (split, _) in before.items()}
    assert "moved" not in notes(receipt)
    for name in NAMES[::8]:
        assert after[entity_id(f"{name}x")] == after[entity_id(name)]


def test_two_old_pictures_that_a_new_one_joins_stop_the_build_or_are_kept_together(lake):
    first = NAMES[0]
    far = {name: near(ALONE[first], *range(8 * step, 8 * step + 6)) for step, name in enumerate(NAMES[1:8])}
    bring(lake, {first: ALONE[first]} | far)
    before = placed(lake, lh.build(lake, recipe()))
    other = next(name for name in far if before[entity_id(name)][0] != before[entity_id(first)][0])
    step = list(far).index(other)
    bring(lake, {"between": near(ALONE[first], *range(8 * step, 8 * step + 3))})
    with pytest.raises(RecipeError, match="are one group now"):
        lh.build(lake, recipe())
    kept = lh.build(lake, recipe(split={"on_join": "keep"}))
    assert notes(kept)["moved"] == 1
    after = placed(lake, kept)
    assert after[entity_id(other)] == after[entity_id(first)] == after[entity_id("between")]


def test_clusters_and_group_keys_join_and_their_values_are_never_mistaken(lake):
    oldest = entity_id("n00")
    groups = {"n00b": {"patient": "p"}, "n01": {"patient": "p"}, "n02": {"patient": f"near-duplicates of {oldest}"}}
    bring(lake, {"n00": ALONE["n00"]})
    bring(lake, {"n00b": near(ALONE["n00"], 3), "n01": ALONE["n01"], "n02": ALONE["n02"]}, groups=groups)
    found = placed(lake, lh.build(lake, recipe(split={"group": "patient"})))
    joined = {found[entity_id(name)] for name in ("n00", "n00b", "n01")}
    assert len(joined) == 1
    assert found[entity_id("n02")] not in joined


def test_embeddings_of_a_model_are_compared_by_their_cosine(lake):
    bring(lake, {name: ALONE[name] for name in NAMES[:4]})
    vectors = {"n00": [1.0, 0.0], "n01": [0.99, 0.1], "n02": [0.0, 1.0]}
    rows = [
        {"entity_id": entity_id(name), "value_kind": "embedding", "value_ref": embedding_ref(vector)}
        for name, vector in vectors.items()
    ]
    lh.record_opinions(lake, rows, source="m", question="look", actor="model:m@1")
    said = {"question": "look", "actor": "model:m@1"}
    receipt = lh.build(lake, recipe("embedding", **said))
    found = placed(lake, receipt)
    assert found[entity_id("n00")] == found[entity_id("n01")]
    assert found[entity_id("n02")][1] == entity_id("n02")
    assert notes(receipt) == {"near_duplicates": 1, "not_compared": 1}
    early = parse_recipe(recipe("embedding", **said).canonical() | {"as_of": {"known_at": START - timedelta(days=1)},
                         "split": {"ratios": RATIOS}}, where="zoo.toml")  # fmt: skip
    with pytest.raises(RecipeError, match="model:m@1 has answered nothing"):
        lh.build(lake, early)
    with pytest.raises(RecipeError, match="model:x@1 has answered nothing with an embedding to question `look`"):
        lh.build(lake, recipe("embedding", question="look", actor="model:x@1"))


def test_what_was_never_measured_stops_the_build_and_says_who_measures_it(shared):
    for follow in (lh.build, plan_dataset):
        with pytest.raises(RecipeError, match="phash.*extractor image_likeness@1 measures it: run `petrel dimensions`"):
            follow(shared, recipe("phash"))


def test_all_duplicates_are_one_group_or_one_member(lake):
    bring(lake, {name: near(ALONE["n00"], place % 4) for place, name in enumerate(NAMES)})
    assert len(set(placed(lake, lh.build(lake, recipe())).values())) == 1
    assert lh.build(lake, recipe(action="drop")).counts["members"] == 1


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"near": "dhsh"}, "duplicates.near = 'dhsh'; did you mean `dhash`?"),
        ({"near": "sound"}, "duplicates.near = 'sound'"),
        ({"distance": 3}, "duplicates.near is missing"),
        ({"near": "dhash", "distance": 13}, "duplicates.distance = 13; of dhash it is within 0..12, usually 4"),
        ({"near": "phash", "distance": -1}, "it is within 0..12"),
        ({"near": "phash", "distance": 2.5}, "it is a number of bits"),
        ({"near": "embedding"}, "say whose embeddings are compared"),
        ({"near": "phash", "actor": "model:m@1"}, "say whose embeddings are compared"),
        ({"near": "phash", "action": "remove"}, "duplicates.action = 'remove'"),
    ],
)
def test_duplicates_that_cannot_be_are_named(said, message):
    with pytest.raises(RecipeError, match=message):
        parse_recipe({"name": "zoo", "duplicates": said}, where="zoo.toml")


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_both_engines_keep_the_same_ones(tmp_path):
    found = []
    for engine in ("embedded", "spark"):
        with opened(tmp_path / engine, engine) as lake:
            bring(lake, {name: ALONE[name] for name in NAMES[:6]})
            bring(lake, {f"{name}b": near(ALONE[name], 1) for name in NAMES[:3]})
            add_dimension(lake, "width", {"n00": 8, "n00b": 16}, kind="integer", extractor="image_header")
            add_dimension(lake, "height", {"n00": 8, "n00b": 16}, kind="integer", extractor="image_header")
            receipt = lh.build(lake, recipe(action="drop"))
            found.append((placed(lake, receipt), left_out(lake, receipt), receipt.details))
    assert found[0] == found[1]
    assert len(found[0][1]) == 3
