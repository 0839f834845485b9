"""Small pictures, what was said about them, and the whole way from there: for every kind of answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

import lakehouse as lh
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.lake import Lake
from loaders import make_reader
from tests.datasets.cells import names_of

SIDE = 20


def bring_pictures(lake: Lake, folder: Path, names: Iterable[str] = "abcd") -> dict[str, str]:
    """Land one picture of 20 x 20 px for each name; return name -> entity id."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (SIDE, SIDE), (ord(name[0]), 5, 0)).save(folder / f"{name}.png")
    lh.land(lake, lh.Source(name="pictures", folder=str(folder)))
    lh.entities(lake)
    return {name: entity for entity, name in names_of(lake).items()}


def say(lake: Lake, question: str | lh.Question, actor: str, said: Mapping[str, Mapping[str, Any]]) -> None:
    """Record what an actor says about pictures, by their names."""
    entities = {name: entity for entity, name in names_of(lake).items()}
    rows = [{"entity_id": entities[name], **value} for name, value in said.items()]
    lh.record_opinions(lake, rows, source=actor, question=question, actor=actor)


def built(lake: Lake, question: str, **label: object) -> str:
    """Build a dataset of one split over all pictures; return its version id."""
    record = {"name": "toy", "question": question, "label": label, "split": {"ratios": {"test": 1.0}}}
    return lh.build(lake, parse_recipe(record, where="toy.toml")).details["dataset_id"]


def answers(lake: Lake, dataset_id: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return name -> answer_json of the members, and name -> reason of those that are left out."""
    names = names_of(lake)
    members = lh.fetch(lake, "select entity_id, answer_json from gold.dataset_members where dataset_id = $id",
                       params={"id": dataset_id})  # fmt: skip
    left = lh.fetch(lake, "select entity_id, reason from gold.dataset_exclusions where dataset_id = $id",
                    params={"id": dataset_id})  # fmt: skip
    return (
        {names[row["entity_id"]]: row["answer_json"] for row in members},
        {names[row["entity_id"]]: row["reason"] for row in left},
    )


def samples(lake: Lake, dataset_id: str) -> dict[str, dict[str, Any]]:
    """Materialise and read it; return name -> column -> value."""
    names = names_of(lake)
    folder = lake.root / lh.materialise(lake, dataset_id).details["folder"] / "test"
    found: dict[str, dict[str, Any]] = {}
    with make_reader(folder, batch_size=2) as reader:
        for batch in reader:
            for place, is_pad in enumerate(batch["is_pad"]):
                if not is_pad:
                    row = {column: values[place] for column, values in batch.items()}
                    found[names[str(row["entity_id"])]] = row
    return found


def metrics(lake: Lake, dataset_id: str, actor: str, question: str, **more: Any) -> dict[tuple[str, str], Any]:
    """Evaluate; return (metric, slice) -> value."""
    receipt = lh.evaluate(lake, dataset_id=dataset_id, actor=actor, question=question, **more)
    rows = lh.fetch(lake, "select metric, slice, value from gold.evaluations where evaluation_id = $id",
                    params={"id": receipt.details["evaluation_id"]})  # fmt: skip
    return {(row["metric"], row["slice"]): row["value"] for row in rows}
