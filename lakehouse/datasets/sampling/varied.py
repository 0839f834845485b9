"""From the members of a version to those and their variants: rows beside the rows, in the same splits."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lakehouse.datasets.policies.each_region import crop_of_parameters
from lakehouse.datasets.policies.kind import AnswerKind
from lakehouse.datasets.policies.moved_answers import is_movable, move_answer
from lakehouse.datasets.policies.sides import TOLD, side_pairs
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.recipes.sections.variants import Variants
from lakehouse.datasets.sampling.variants import drawn
from lakehouse.derived.identity import CROP, VARIANT, derived_id
from lakehouse.derived.reading import variant_of
from lakehouse.derived.video import BYTES_OF_PIXEL
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import Pins, fetch, query
from lakehouse.steps.step import StepRecord
from loaders.decoding.placement import turned_size
from loaders.errors import DecodeError
from schemas.canonical import bucket, canonical_json, text_json
from schemas.tables import DATASET_MEMBERS

PER_TASK = 2_000
LEFT = "objects_left_variants"

SOURCE = "e.entity_id = coalesce(m.parent_ids[1], m.entity_id)"

FACTS = f"""
select m.split, count(*) as members, count(*) filter (where not starts_with(e.media_type, 'image/')) as others,
    count(*) filter (where e.width is null or e.height is null) as unknown,
    min(case when e.width is null or e.height is null then m.entity_id end) as example
from members m join entities_wide e on {SOURCE} group by m.split order by m.split
"""

ORIGINALS = f"""
select m.*, e.width, e.height, e.exif_orientation from members m join entities_wide e on {SOURCE}
where m.split in $splits
"""

COUNTED = f"""
select m.entity_id, m.group_id, m.label, m.split, coalesce(m.parent_ids, [m.entity_id]) as parent_ids,
    case when m.parent_ids is null then cast(e.width * e.height * {BYTES_OF_PIXEL} as bigint) else m.size_bytes end
        as size_bytes
from members m join entities_wide e on {SOURCE} cross join copies where m.split in $splits
"""
"""What variants are counted as where none is made yet: as large as the picture that they are of, at most."""

KEPT = "select {columns} from members where split not in $splits or $keep"

BOTH = "select {columns} from kept union all select {columns} from made"

LEFT_OUT = """
select dataset_id, entity_id, reason, detail, parent_ids from exclusions
union all
select $id as dataset_id, entity_id, 'only_variants' as reason, 'its variants are members in its place' as detail,
    parent_ids
from members where split in $splits
"""

ROWS = pa.schema([
    *(DATASET_MEMBERS.arrow_schema.field(name) for name in DATASET_MEMBERS.column_names if name != "row_hash"),
    pa.field("size_bytes", pa.int64()), pa.field("left", pa.int64()),
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Varied:
    """Who is in and who is not, variants among them; `made` of the members are variants."""

    members: Relation
    exclusions: Relation
    made: int = 0


def check_varied(recipe: Recipe, kind: AnswerKind | None, classes: tuple[str, ...]) -> None:
    """Refuse variants of which nobody could say what is in them.

    Raises:
        RecipeError: If answers have places that nothing moves, a mirror would need names of keypoints that nobody
            stated, or labels say left or right.
    """
    variants, where = recipe.variants, f"recipe {recipe.name}: variants"
    if not variants.copies or kind is None:
        return
    if not (is_movable(kind.name) or is_movable(kind.value_kind)):
        raise RecipeError(f"{where}: answers of kind {kind.name} say where something is, and nothing moves them")
    if not variants.mirror:
        return
    if kind.name == "keypoints" and not kind.asked.get("keypoints"):
        raise RecipeError(
            f"{where}.mirror: question `{recipe.question}` names no keypoints, so nobody knows which of them a mirror "
            "exchanges; state their names with the question, or leave mirror out"
        )
    if kind.name == "keypoints":
        names = tuple(kind.asked["keypoints"])
        missed = set(_pairs_of_any_case(names)) - set(side_pairs(names))
        for one, other in sorted(missed):
            raise RecipeError(
                f"{where}.mirror: keypoints {names[one]!r} and {names[other]!r} seem to be of two sides, and a mirror "
                f"exchanges names that differ in {TOLD} alone; name them so, or leave mirror out"
            )
    # A label that is a letter may be that letter.
    sided = [(classes[one], classes[other]) for one, other in _pairs_of_any_case(classes) if len(classes[one]) > 1]
    if sided:
        raise RecipeError(
            f"{where}.mirror: labels {sided[0][0]!r} and {sided[0][1]!r} say which side something is of, and would be "
            "wrong in a mirror; leave mirror out"
        )


def _pairs_of_any_case(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    # As they are, too: in small letters LEye says no side.
    return tuple(sorted({*side_pairs([each.lower() for each in names]), *side_pairs(names)}))


def varied(
    lake: Lake, recipe: Recipe, kind: AnswerKind | None, members: Relation, exclusions: Relation, dataset_id: str,
    record: StepRecord, pins: Pins, *, counting: bool = False,
) -> Varied:  # fmt: skip
    """Return members and exclusions with the variants of the members; as they are where the recipe wants none.

    Args:
        lake: The lake.
        recipe: The recipe.
        kind: Kind of its answers.
        members: From `lakehouse.datasets.choosing.members.choose`.
        exclusions: The same.
        dataset_id: Id of the version.
        record: Takes note of objects that leave their pictures, and of names without sides.
        pins: What the build reads.
        counting: Members are only counted.

    Raises:
        RecipeError: If there is no member in a split, members are no pictures, or nobody measured their size.
        DecodeError: If masks do not have the size of their picture.
    """
    variants = recipe.variants
    if not variants.copies:
        return Varied(members, exclusions)
    members = lake.engine.stage(members)
    originals = _originals(lake, recipe, members, pins)
    params = {"splits": list(variants.splits)}
    columns = ["entity_id", "group_id", "label", "split", "size_bytes", "parent_ids"]
    if counting:
        numbers = lake.engine.from_arrow(pa.table({"copy": pa.array(range(variants.copies), pa.int64())}))
        made = query(lake, COUNTED, inputs={"members": members, "copies": numbers}, params=params, pins=pins)
    else:
        columns = [name for name in ROWS.names if name != "left"]
        pairs = _pairs(recipe, kind, record)
        make = functools.partial(
            _variants, variants=variants, seed=recipe.seed, kind=None if kind is None else kind.name, pairs=pairs,
            places=kind is not None and is_movable(kind.name),
        )  # fmt: skip
        rows = query(lake, ORIGINALS, inputs={"members": members}, params=params, pins=pins)
        found = lake.engine.map_batches(rows, make, ROWS, rows_per_task=PER_TASK, label=f"variants of {recipe.name}")
        made = lake.engine.stage(found)
        left = fetch(lake, "select cast(sum(\"left\") as bigint) as n from made", inputs={"made": made})[0]["n"]
        if left:
            record.note(LEFT, "objects lie outside of the windows of variants, and are not in these", count=left)
    told = ", ".join(columns)
    keep = {"splits": list(variants.splits), "keep": variants.keep_original}
    kept = query(lake, KEPT.format(columns=told), inputs={"members": members}, params=keep)
    both = query(lake, BOTH.format(columns=told), inputs={"kept": kept, "made": made})
    if not variants.keep_original:
        inputs = {"exclusions": exclusions, "members": members}
        exclusions = query(lake, LEFT_OUT, inputs=inputs, params={**params, "id": dataset_id})
    return Varied(both, exclusions, originals * variants.copies)


def _originals(lake: Lake, recipe: Recipe, members: Relation, pins: Pins) -> int:
    rows = fetch(lake, FACTS, inputs={"members": members}, pins=pins)
    where, splits = f"recipe {recipe.name}: variants", {row["split"]: row for row in rows}
    for split in recipe.variants.splits if rows else ():
        if split not in splits:
            raise RecipeError(f"{where}.splits: no member is in split {split!r}{nearest(split, splits)}")
    found = [row for row in rows if row["split"] in recipe.variants.splits]
    if any(row["others"] for row in found):
        raise RecipeError(f"{where}: there are variants of pictures alone, and the members are none; leave it out")
    unknown = sum(row["unknown"] for row in found)
    if unknown:
        example = next(row["example"] for row in found if row["example"])
        raise RecipeError(
            f"{where}: nobody measured the size of {unknown:,} members, for example {example}; run `petrel dimensions`"
        )
    return sum(row["members"] for row in found)


def _pairs(recipe: Recipe, kind: AnswerKind | None, record: StepRecord) -> tuple[tuple[int, int], ...]:
    if kind is None or kind.name != "keypoints" or not recipe.variants.mirror:
        return ()
    names = tuple(kind.asked["keypoints"])
    found = side_pairs(names)
    if not found:
        record.note("no_sides", f"no two keypoints of {', '.join(names)} differ in {TOLD}: a mirror exchanges none")
    return found


def _variants(
    batches: Iterator[pa.RecordBatch], *, variants: Variants, seed: int, kind: str | None,
    pairs: tuple[tuple[int, int], ...], places: bool,
) -> Iterator[pa.RecordBatch]:  # fmt: skip
    for batch in batches:
        rows = [
            made
            for row in batch.to_pylist()
            for made in _of_member(row, variants, seed, kind if places else None, pairs)
        ]
        yield pa.RecordBatch.from_pylist(rows, schema=ROWS)


def _of_member(
    row: Mapping[str, Any], variants: Variants, seed: int, kind: str | None, pairs: tuple[tuple[int, int], ...]
) -> Iterator[dict[str, Any]]:
    picture = (row["parent_ids"] or [row["entity_id"]])[0]
    orientation = row["exif_orientation"] or 1
    stored, of = (int(row["height"]), int(row["width"])), {}
    if row["operation"] == CROP:
        told = json.loads(row["parameters_json"])
        crop = crop_of_parameters(told)
        stored, of = (crop["height"], crop["width"]), {"of": told}
    answer = None if row["answer_json"] is None else json.loads(row["answer_json"])
    kept = {name: row[name] for name in ROWS.names if name in row}
    upright = turned_size(*stored, orientation)
    for number, told in enumerate(drawn(row["entity_id"], seed, variants, *upright), start=1):
        parameters = of | told
        made, left = row["answer_json"], 0
        if answer is not None and kind is not None:
            placement = variant_of(parameters).placement(*stored, orientation)
            try:
                moved = move_answer(kind, answer, placement, pairs=pairs, min_visible=variants.min_visible)
            except DecodeError as error:
                error.add_note(f"of member {row['entity_id']}")
                raise
            made, left = text_json(moved.answer), moved.left
        thing = derived_id([picture], VARIANT, parameters)
        yield kept | {
            "entity_id": thing,
            "bucket": bucket(thing, seed),
            "answer_json": made,
            "parent_ids": [picture],
            "operation": VARIANT,
            "parameters_json": canonical_json(parameters),
            "size_bytes": told["width"] * told["height"] * BYTES_OF_PIXEL,
            "selected_because": f"{row['selected_because']}; variant {number} of {row['entity_id']}",
            "left": left,
        }
