"""What pinned tables came to for a recipe, noted: who asks again has the version id without a row read.

The id has digests of what is heard, which is read row by row the first time: of three million answers that takes
seconds. A note tells the digests by recipe, pins and contracts, none of which changes. Deleting the notes is always
safe.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from lakehouse.datasets.policies.kind import AnswerKind
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.selecting.named_commits import versions_at
from lakehouse.datasets.versions.version import Inputs, contracts, decodes_as_here
from lakehouse.lake import Lake
from lakehouse.query import Pins
from lakehouse.steps.fresh import FRESH
from lakehouse.tables.read import head
from schemas.canonical import content_id, sha256_text, text_json
from schemas.tables import BY_NAME

CONTRACT = 1
"""Part of the name of every note; raise it when something enters an id that notes do not tell."""


@dataclass(frozen=True, slots=True)
class NotedInputs:
    """What `read_inputs` found the last time.

    Attributes:
        inputs: Pins, digests and contracts.
        classes: Labels by their class numbers; () if the recipe asks no question.
        dataset_id: Id of the version.
    """

    inputs: Inputs
    classes: tuple[str, ...]
    dataset_id: str


def noted_inputs(lake: Lake, recipe: Recipe, kind: AnswerKind | None, pins: Pins) -> NotedInputs | None:
    """Return what is noted of a recipe at these pins; None if nothing is, or a table beside the pins has changed."""
    try:
        said = json.loads(lake.files.read_whole(_name(recipe, kind, pins)))
        inputs = Inputs(dict(pins), dict(said["digests"]), dict(said["contracts"]))
        if not decodes_as_here(inputs.contracts):
            return None
        found = NotedInputs(inputs, tuple(said["classes"]), inputs.version_id(recipe))
        beside = [(BY_NAME[table], version) for table, version in said["beside"]]
        # The id is noted too, and labels have a digest in it: a note that was damaged gives others.
        is_whole = said["dataset_id"] == found.dataset_id and (
            inputs.digests["heard.labels"] == sha256_text(text_json(found.classes)) if recipe.question
            else not found.classes
        )  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError):
        return None  # missing, or half of one
    return found if is_whole and all(head(lake.home, table) == at for table, at in beside) else None


def note_inputs(
    lake: Lake, recipe: Recipe, kind: AnswerKind | None, found: NotedInputs, scanned: set[tuple[str, int]]
) -> None:
    """Note what was found, where rows were read: digests of whole tables stand in their commits.

    Args:
        lake: The lake.
        recipe: The recipe.
        kind: Kind of the answers; None if it asks no question.
        found: What was found.
        scanned: Table and version that were read on the way: of those beside the pins the heads count.
    """
    inputs = found.inputs
    if lake.home.read_only or not scanned:
        return
    at = versions_at(lake.home, recipe)
    pinned = {*inputs.pins.items(), *(each for read in at.values() for each in read.items())}
    said = {
        "digests": dict(inputs.digests), "contracts": dict(inputs.contracts), "classes": list(found.classes),
        "dataset_id": found.dataset_id, "beside": sorted(scanned - pinned),
    }  # fmt: skip
    lake.files.put(_name(recipe, kind, inputs.pins), json.dumps(said).encode())


def _name(recipe: Recipe, kind: AnswerKind | None, pins: Pins) -> str:
    settings: Mapping[str, object] = {
        "recipe": recipe.canonical(), "pins": dict(pins), "contracts": contracts(recipe, kind)
    }  # fmt: skip
    return f"{FRESH}/inputs-{content_id([CONTRACT, settings])}.json"
