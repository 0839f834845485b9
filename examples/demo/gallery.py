"""What the contact sheet shows: a sample of every class, the most disputed images and the worst predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from examples.demo.contact_sheet import Section, Tile
from examples.demo.facts import Facts
from lakehouse.objects import read_bytes

PER_CLASS = 12
MAX_CLASSES = 20
MAX_TILES = 36
MAX_BYTES = 32 << 20
"""Larger images are left out of the sheet."""

SAMPLE = """
with placed as (
    select m.label, e.object_uri, row_number() over (partition by m.label order by m.bucket, m.entity_id) as place
    from gold.dataset_members m join silver.entities e on e.entity_id = m.entity_id
    where m.dataset_id = $id and e.media_type like 'image/%' and e.size_bytes <= $max_bytes
)
select label, object_uri from placed where place <= $per_class order by label, place
"""

DISPUTED = """
select m.label, m.label_share, e.object_uri
from gold.dataset_members m join silver.entities e on e.entity_id = m.entity_id
where m.dataset_id = $id and m.label_share < 1 and e.media_type like 'image/%' and e.size_bytes <= $max_bytes
order by m.label_share, m.entity_id limit $tiles
"""

WORST = """
select m.label, p.label as answer, p.probs[m.label] as p_truth, e.object_uri
from gold.dataset_members m
join silver.entities e on e.entity_id = m.entity_id
join current_opinions p on p.subject_id = m.entity_id
where m.dataset_id = $id and m.split = 'test' and p.actor_id = $actor and p.question_id = $question
    and p.op = 'assert' and e.media_type like 'image/%' and e.size_bytes <= $max_bytes
order by p_truth, m.entity_id limit $tiles
"""

REGIONS = """
select e.object_uri, o.regions
from gold.dataset_members m
join silver.entities e on e.entity_id = m.entity_id
left join current_opinions o on o.subject_id = m.entity_id and o.op = 'assert' and o.value_kind = 'regions'
where m.dataset_id = $id and e.media_type like 'image/%' and e.size_bytes <= $max_bytes
order by m.bucket, m.entity_id limit $tiles
"""


def labelled_sections(facts: Facts, dataset_id: str, *, question: str, actor: str | None) -> list[Section]:
    """Return the sections of a dataset with labels; predictions only where an actor is given."""
    sample = facts.ask(SAMPLE, id=dataset_id, per_class=PER_CLASS, max_bytes=MAX_BYTES)
    classes = list(dict.fromkeys(row["label"] for row in sample))[:MAX_CLASSES]
    shown = [_tile(facts, row, row["label"]) for row in sample if row["label"] in classes]
    few = f" (first {MAX_CLASSES} classes)" if len(classes) == MAX_CLASSES else ""
    sections = [Section(f"Dataset by label{few}", shown)]
    disputed = facts.ask(DISPUTED, id=dataset_id, tiles=MAX_TILES, max_bytes=MAX_BYTES)
    if disputed:
        tiles = [_tile(facts, row, row["label"], f"{row['label_share']:.0%} of votes") for row in disputed]
        sections.append(Section("Most disputed labels", tiles))
    if actor is not None:
        worst = facts.ask(
            WORST, id=dataset_id, tiles=MAX_TILES, max_bytes=MAX_BYTES, actor=actor, question=question
        )
        sections.append(Section(f"Worst predictions of {actor} on the test split", _worst(facts, worst)))
    return sections


def region_sections(facts: Facts, dataset_id: str) -> list[Section]:
    """Return a sample of a dataset without labels, with the boxes that were drawn on its images."""
    rows = facts.ask(REGIONS, id=dataset_id, tiles=MAX_TILES, max_bytes=MAX_BYTES)
    tiles = []
    for row in rows:
        regions = row["regions"] or []
        boxes = tuple((r["x"], r["y"], r["w"], r["h"]) for r in regions if r["kind"] == "box" and r["x"] is not None)
        tiles.append(Tile(read_bytes(facts.lake, row["object_uri"]), f"{len(regions)} regions", boxes=boxes))
    return [Section("Dataset with the regions people drew", tiles)]


def _worst(facts: Facts, rows: Sequence[dict[str, Any]]) -> list[Tile]:
    return [
        _tile(
            facts,
            row,
            f"{row['label']}, said {row['answer']}",
            f"p = {row['p_truth'] or 0:.2f}",
            bad=row["label"] != row["answer"],
        )
        for row in rows
    ]


def _tile(facts: Facts, row: dict[str, Any], label: str, note: str = "", *, bad: bool = False) -> Tile:
    return Tile(read_bytes(facts.lake, row["object_uri"]), label, note, bad)
