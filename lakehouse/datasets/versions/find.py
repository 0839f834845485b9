"""Finding a dataset version and reading its members."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from lakehouse.datasets.policies import answer_kinds
from lakehouse.datasets.policies.each_region import EACH_REGION
from lakehouse.datasets.policies.each_window import EACH_WINDOW
from lakehouse.datasets.policies.kind import ANSWERS, CONSTRAINTS, AnswerKind, Asked
from lakehouse.datasets.policies.label import LABEL
from lakehouse.datasets.recipes.recipe import Recipe, recipe_of
from lakehouse.datasets.versions.named import version_named
from lakehouse.derived.identity import CLIP, CROP, VARIANT
from lakehouse.derived.places import PLACE, REFERENCED
from lakehouse.derived.video import CLIP_TYPE, FRAME_TYPE
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import fetch, query

MEMBERS = f"""
select m.entity_id, m.split, m.bucket, m.label, m.label_share, m.label_votes, m.weight, m.group_id,
    m.fields_json, m.answer_json, m.parent_ids, m.operation, m.parameters_json,
    e.entity_id as source_id, {PLACE} as place, e.size_bytes,
    case when m.operation in ('{CROP}', '{VARIANT}') then '{FRAME_TYPE}' when m.operation = '{CLIP}' then '{CLIP_TYPE}'
        else e.media_type end as media_type
from gold.dataset_members m join silver.entities e on e.entity_id = coalesce(m.parent_ids[1], m.entity_id)
{REFERENCED}
where m.dataset_id = $id
"""


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """One row of gold.datasets.

    `recipe` is its canonical form, which leaves defaults out: see `followed`. `classes` holds the labels in the order
    of their class numbers; () where the recipe asks no question. `fields` has the type of each column of its own,
    `constraints` what the question said that decides what its answers are.
    """

    dataset_id: str
    name: str
    recipe: Mapping[str, object]
    classes: tuple[str, ...]
    fields: Mapping[str, str]
    contracts: Mapping[str, int]
    splits: Mapping[str, int]
    members: int
    members_digest: str
    constraints: Mapping[str, object] = field(default_factory=dict)

    @property
    def followed(self) -> Recipe:
        """The whole recipe.

        Raises:
            RecipeError: If a newer version of Petrel wrote it, with a key that is not known here.
        """
        return recipe_of(self.recipe, where=f"recipe of dataset {self.name} ({self.dataset_id})")

    @property
    def answers(self) -> AnswerKind | None:
        """Kind of the answers that its members have; None if its recipe asks no question and samples are no windows.

        Raises:
            RecipeError: If this is a kind of a package that is not installed.
        """
        samples = self.recipe.get("samples")
        of = samples.get("of") if isinstance(samples, Mapping) else None
        if of == "windows":
            return EACH_WINDOW
        if not self.recipe.get("question"):
            return None
        if of == "regions":
            return EACH_REGION
        stated = [name.removeprefix(ANSWERS) for name in self.contracts if name.startswith(ANSWERS)]
        known = {kind.contract_name: kind for kind in answer_kinds().values()}
        name = stated[0] if stated else LABEL.contract_name
        if name not in known:
            raise RecipeError(
                f"dataset {self.name} ({self.dataset_id}) has answers of kind {name}, which no package here brings "
                f"(there are {', '.join(answer_kinds())}); install the one that built it"
            )
        return known[name].bound(Asked(self.followed.label, self.constraints))

    @property
    def seed(self) -> int:
        """Seed of every random choice, from the recipe."""
        return self.followed.seed


def find_dataset(lake: Lake, name_or_id: str) -> DatasetVersion:
    """Return a dataset version by its id or how that begins, by NAME (the version built last), NAME@TAG or NAME@ID.

    Raises:
        RecipeError: If there is none, or there are several; the message lists what there is.
    """
    text = """
        select dataset_id, name, recipe_json, classes_json, fields_json, contracts_json, splits_json, members,
            members_digest, digests_json
        from gold.datasets where dataset_id = $wanted or name = $wanted order by built_at desc, dataset_id limit 1
    """
    rows = fetch(lake, text, params={"wanted": version_named(lake, name_or_id)})
    if not rows:
        names = fetch(lake, "select distinct name from gold.datasets order by name")
        known = ", ".join(row["name"] for row in names) or "none yet"
        close = nearest(name_or_id, [row["name"] for row in names])
        meant = close.rstrip("?") if "did you mean" in close else ""
        raise RecipeError(
            f"no dataset `{name_or_id}` in {lake.home}{meant}; known: {known}; make it with `petrel build`"
        )
    row = rows[0]
    return DatasetVersion(
        row["dataset_id"],
        row["name"],
        json.loads(row["recipe_json"]),
        tuple(json.loads(row["classes_json"] or "[]")),
        dict(json.loads(row["fields_json"] or "[]")),
        json.loads(row["contracts_json"]),
        json.loads(row["splits_json"]),
        row["members"],
        row["members_digest"],
        json.loads(json.loads(row["digests_json"]).get(CONSTRAINTS, "{}")),
    )


def read_members(lake: Lake, dataset_id: str) -> Relation:
    """Return the members of a version with the place and size of their bytes, in no order."""
    return query(lake, MEMBERS, params={"id": dataset_id})
