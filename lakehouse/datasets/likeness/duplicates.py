"""Near-duplicates of a lake: what was measured of its entities, as clusters; and of each cluster one, if so wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.datasets.likeness.clusters import Clusters, clusters_by_cosine, clusters_by_dhash, clusters_by_phash
from lakehouse.datasets.likeness.hamming import CrowdedError
from lakehouse.datasets.policies.embedding import vector_of
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.versions.reads import COMPARED
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.extractors.image_likeness import IMAGE_LIKENESS
from lakehouse.extractors.image_pixels import IMAGE_PIXELS
from lakehouse.lake import Lake
from lakehouse.query import Pins, fetch, query
from lakehouse.steps.step import StepRecord
from lakehouse.views.opinions import current_opinions_sql

MEASURES = {"phash": IMAGE_LIKENESS, "dhash": IMAGE_PIXELS}
"""Measure -> who measures it."""

MEASURED = """
select d.entity_id, e.first_version, {values} from silver.dimensions d
join silver.entities e on e.entity_id = d.entity_id
where d.extractor = $extractor and d.extractor_version = $version and d.dimension in $names
group by d.entity_id, e.first_version
"""

ANSWERED = """
select o.subject_id as entity_id, e.first_version, o.value_ref as value from standing o
join silver.entities e on e.entity_id = o.subject_id
where o.question_id = $question and o.actor_id = $actor and o.op = 'assert' and o.value_kind = 'embedding'
    and o.value_ref is not null
"""

UNMEASURED = """
select count(*) as n, min(p.entity_id) as example from picked p
join silver.entities e on e.entity_id = p.entity_id
where (not $pictures or starts_with(e.media_type, 'image/'))
    and not exists (select 1 from measured m where m.entity_id = p.entity_id)
"""

KEPT = """
select c.entity_id, first_value(c.entity_id) over (
    partition by n.cluster_id
    order by coalesce(e.width * e.height, 0) desc, e.first_version, c.entity_id
    rows between unbounded preceding and current row
) as kept
from considered c join clusters n on n.entity_id = c.entity_id join entities_wide e on e.entity_id = c.entity_id
where c.reason is null
"""

ONE_OF_EACH = """
select {columns},
    case when c.reason is null and k.kept <> c.entity_id then concat('near-duplicate of ', k.kept, ', which is kept')
        else c.problem_detail end as problem_detail,
    case when c.reason is null and k.kept <> c.entity_id then 'near_duplicate' else c.reason end as reason
from considered c left join kept k on k.entity_id = c.entity_id
"""

CLUSTERS = pa.schema([("entity_id", pa.string()), ("cluster_id", pa.string())])


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Clusters of near-duplicates among all entities of a lake.

    Attributes:
        rows: Sorted (entity, the oldest entity of its cluster, its age) of those that are not alone.
        measured: Entities that were compared, or would have been had their hash said something.
        pairs: Pairs that were found.
        silent: Entities whose picture is flat, or whose hash says too little to be compared.
    """

    rows: Sequence[tuple[str, str, int]]
    measured: Sequence[str]
    pairs: int
    silent: int

    @property
    def clusters(self) -> int:
        """How many there are, of two and more."""
        return len({cluster for _, cluster, _ in self.rows})

    def told(self, recipe: Recipe) -> str:
        """Return what was found, as a sentence."""
        said = recipe.duplicates
        return (
            f"{self.clusters:,} clusters of {len(self.rows):,} entities in the lake, {self.pairs:,} pairs within "
            f"{said.within:g} by {said.near}"
        )


def near_duplicates(lake: Lake, recipe: Recipe, pins: Pins) -> NearDuplicates | None:
    """Return the clusters of a lake by the measure of a recipe; None if it looks for none.

    Raises:
        RecipeError: If nothing was measured, vectors cannot be compared, or so many are so much alike that comparing
            them would take hours.
    """
    said = recipe.duplicates
    if not said.near:
        return None
    where = f"recipe {recipe.name}: duplicates.near = {said.near!r}"
    try:
        if said.near == "embedding":
            return _by_embedding(lake, recipe, pins, where)
        return _by_hash(lake, recipe, pins, where)
    except CrowdedError as error:
        raise RecipeError(
            f"{where}: what there is is too much alike, or too many: {error}; state a smaller duplicates.distance, or "
            "keep what was taken in one go together by a group key (split.group)"
        ) from error


def tell(lake: Lake, recipe: Recipe, near: NearDuplicates, picked: Relation, pins: Pins, record: StepRecord) -> None:
    """Note what was found, and which of the selected could not be compared."""
    if near.rows:
        record.note("near_duplicates", near.told(recipe), count=near.clusters)
    record.details["near_duplicates"] = near.told(recipe)
    if near.silent:
        record.note("too_flat_to_compare", f"{near.silent:,} entities of the lake say too little to be compared by "
                    f"{recipe.duplicates.near}: flat pictures are like each other", count=near.silent)
    measured = lake.engine.from_arrow(pa.table({"entity_id": pa.array(near.measured, pa.string())}))
    params = {"pictures": recipe.duplicates.near != "embedding"}
    missing = fetch(lake, UNMEASURED, inputs={"picked": picked, "measured": measured}, params=params, pins=pins)[0]
    if missing["n"]:
        record.note("not_compared", f"{missing['n']:,} selected entities, for example {missing['example']}, have "
                    f"nothing to compare: {_remedy(recipe)}", count=missing["n"])


def one_of_each(lake: Lake, recipe: Recipe, near: NearDuplicates | None, considered: Relation, pins: Pins) -> Relation:
    """Return what was considered, with all but one member of each cluster left out if the recipe says so."""
    if near is None or recipe.duplicates.action != "drop":
        return considered
    clusters = pa.Table.from_arrays(
        [pa.array([row[place] for row in near.rows], pa.string()) for place in range(2)], schema=CLUSTERS
    )
    inputs = {"considered": considered, "clusters": lake.engine.from_arrow(clusters)}
    kept = lake.engine.stage(query(lake, KEPT, inputs=inputs, pins=pins))
    columns = ", ".join(f"c.{name}" for name in considered.columns if name not in ("problem_detail", "reason"))
    text = ONE_OF_EACH.format(columns=columns)
    return lake.engine.stage(query(lake, text, inputs={"considered": considered, "kept": kept}))


def _by_hash(lake: Lake, recipe: Recipe, pins: Pins, where: str) -> NearDuplicates:
    said = recipe.duplicates
    extractor, names = MEASURES[said.near], COMPARED[said.near]
    values = ", ".join(f"max(case when d.dimension = '{name}' then d.text end) as {name}" for name in names)
    params = {"extractor": extractor.name, "version": extractor.version, "names": list(names)}
    rows = lake.engine.arrow(query(lake, MEASURED.format(values=values), params=params, pins=pins))
    # Whatever order an engine returns: a cluster is called by its oldest.
    rows = rows.sort_by([("first_version", "ascending"), ("entity_id", "ascending")])
    if rows.num_rows == 0:
        raise RecipeError(f"{where}: of no entity was it measured; {_remedy(recipe)}")
    known = rows.filter(pa.compute.is_valid(rows[names[0]]))
    hashes = [known[name].to_pylist() for name in names]
    bits = int(said.within)
    if said.near == "phash":
        found = clusters_by_phash(hashes[0], hashes[1], bits)
    else:
        found = clusters_by_dhash(hashes[0], bits)
    flat = rows.num_rows - known.num_rows
    return _found(known, found, measured=rows["entity_id"].to_pylist(), flat=flat)


def _by_embedding(lake: Lake, recipe: Recipe, pins: Pins, where: str) -> NearDuplicates:
    said = recipe.duplicates
    when = recipe.as_of
    params = {"question": said.question, "actor": said.actor, "known_at": when.known_at, "valid_at": when.valid_at}
    text = current_opinions_sql(known_at=when.known_at is not None, valid_at=when.valid_at is not None)
    standing = query(lake, text, params=params, pins=pins)
    rows = lake.engine.arrow(query(lake, ANSWERED, inputs={"standing": standing}, params=params, pins=pins))
    rows = rows.sort_by([(name, "ascending") for name in ("first_version", "entity_id", "value")])
    if rows.num_rows == 0:
        raise RecipeError(f"{where}: {_remedy(recipe)}")
    vectors: dict[str, tuple[int, Any]] = {}
    for row in rows.to_pylist():
        try:
            vectors.setdefault(row["entity_id"], (row["first_version"], vector_of(row["value"]).astype(np.float64)))
        except ValueError as error:
            raise RecipeError(f"{where}: the embedding of {row['entity_id']} {error}") from error
    widths = sorted({len(vector) for _, vector in vectors.values()})
    if len(widths) > 1:
        raise RecipeError(f"{where}: embeddings of {said.actor} have {' and '.join(map(str, widths))} numbers")
    found = clusters_by_cosine(np.stack([vector for _, vector in vectors.values()]), said.within)
    known = pa.table({"entity_id": list(vectors), "first_version": [age for age, _ in vectors.values()]})
    return _found(known, found, measured=list(vectors))


def _found(known: pa.Table, found: Clusters, *, measured: Sequence[str], flat: int = 0) -> NearDuplicates:
    sizes = np.bincount(found.of, minlength=known.num_rows) if known.num_rows else np.zeros(0, np.int64)
    together = np.nonzero(sizes[found.of] > 1)[0] if known.num_rows else np.zeros(0, np.int64)
    columns = [
        known["entity_id"].take(together).to_pylist(),
        # Rows are ordered by age: the first of a cluster is its oldest.
        known["entity_id"].take(found.of[together]).to_pylist(),
        known["first_version"].take(together).to_pylist(),
    ]
    return NearDuplicates(sorted(zip(*columns, strict=True)), measured, found.pairs, found.silent + flat)


def _remedy(recipe: Recipe) -> str:
    said = recipe.duplicates
    if said.near == "embedding":
        return f"{said.actor} has answered nothing with an embedding to question `{said.question}`; import its answers"
    return f"extractor {MEASURES[said.near].key} measures it: run `petrel dimensions`"
