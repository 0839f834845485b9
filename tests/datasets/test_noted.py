"""The id of a version is noted: the second who asks reads no row, and a note is never believed too long."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.datasets.build import build
from lakehouse.datasets.following import pinned, version_id
from lakehouse.datasets.recipes.recipe import Recipe, parse_recipe
from lakehouse.engines.embedded import EmbeddedEngine
from lakehouse.lake import Lake
from tests.making import Clock, add_entities, add_opinions, opinion

RECIPE = parse_recipe({"name": "pets", "question": "animal", "split": {"ratios": {"train": 1.0}}}, where="test")


def notes(lake: Lake) -> list[Path]:
    return sorted((lake.runs / "fresh").glob("inputs-*.json"))


def asked(lake: Lake, recipe: Recipe = RECIPE) -> str:
    return version_id(lake, recipe, pinned(lake, recipe)[1])


@pytest.fixture
def counted(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Statements over opinions so far; three entities with an answer each are in the lake."""
    add_entities(lake, ["a", "b", "c"])
    add_opinions(lake, [opinion(name, "human:ada", "cat") for name in "abc"])
    seen: list[str] = []
    bound = EmbeddedEngine.sql

    def watched(self: EmbeddedEngine, text: str, *rest: object) -> object:
        seen.extend(["opinions"] if "silver.opinions" in text else [])
        return bound(self, text, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(EmbeddedEngine, "sql", watched)
    return lambda: len(seen)


def test_who_asks_again_reads_no_opinion_and_has_the_same_id(lake: Lake, counted: Callable[[], int]) -> None:
    first, read = asked(lake), counted()
    assert read > 0
    assert asked(lake) == first
    assert counted() == read
    assert build(lake, RECIPE).details["dataset_id"] == first


def test_another_answer_is_another_id(lake: Lake, counted: Callable[[], int]) -> None:
    first, read = asked(lake), counted()
    add_opinions(lake, [opinion("a", "human:bo", "dog")])
    assert asked(lake) != first
    assert counted() > read


def test_damaged_notes_are_not_believed(lake: Lake, counted: Callable[[], int]) -> None:
    first = asked(lake)
    (note,) = notes(lake)
    whole = note.read_text()
    for damaged in ("", "{", "[]", whole.replace('"digests"', '"digest"'), whole.replace("silver.entities", "x"),
                    whole.replace('"classes": ["cat"]', '"classes": null'), whole.replace(first, "0" * 32)):
        assert damaged != whole
        note.write_text(damaged)
        assert asked(lake) == first
        assert note.read_text() == whole


def test_classes_of_a_note_are_part_of_its_id(lake: Lake, counted: Callable[[], int]) -> None:
    first = asked(lake)
    (note,) = notes(lake)
    note.write_text(note.read_text().replace('"classes": ["cat"]', '"classes": ["dog"]'))
    assert asked(lake) == first
    assert '"classes": ["cat"]' in note.read_text()


def test_tables_beside_the_pins_count(lake: Lake, clock: Clock, counted: Callable[[], int]) -> None:
    build(lake, RECIPE)
    fixed = parse_recipe({"name": "more", "question": "animal",
                          "split": {"ratios": {"train": 1.0}, "fixed": {"test": "pets"}}}, where="test")  # fmt: skip
    before = asked(lake, fixed)
    add_entities(lake, ["d"])
    pins = pinned(lake, fixed)[1]
    at_first = version_id(lake, fixed, pins)
    clock.forward(days=1)
    build(lake, RECIPE)  # another version now goes by the name
    assert len({before, at_first, version_id(lake, fixed, pins)}) == 3


def test_who_asks_again_without_a_question_reads_no_entity(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    add_entities(lake, ["a", "b"])
    recipe = parse_recipe({"name": "rows", "split": {"ratios": {"train": 1.0}}}, where="test")
    first = asked(lake, recipe)
    monkeypatch.setattr(EmbeddedEngine, "arrow", lambda *_: pytest.fail("rows were read"))
    assert asked(lake, recipe) == first
