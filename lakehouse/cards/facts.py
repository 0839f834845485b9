"""All that a card of a dataset version says, from its rows and pins: the same version gives the same card."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lakehouse.cards.distributions import Distribution, distributions
from lakehouse.cards.provenance import Provenance, provenance
from lakehouse.cards.samples import Sample, samples_of
from lakehouse.datasets.versions.catalogue import EXCLUDED, LABELS, LICENCES
from lakehouse.lake import Lake
from lakehouse.materialise.anew import told_of
from lakehouse.query import fetch, query
from lakehouse.tracing.versions import PinnedVersion, pinned_version

Row = dict[str, Any]

MEDIA = """
select o.media_type, o.members, b.bytes, b.smallest, b.largest from (
    select e.media_type, count(distinct m.member_id) as members
    from member_entities m join silver.entities e on e.entity_id = m.entity_id
    where m.dataset_id = $id group by e.media_type
) o join (
    select e.media_type, sum(e.size_bytes) as bytes, min(e.size_bytes) as smallest, max(e.size_bytes) as largest
    from (select distinct entity_id from member_entities where dataset_id = $id) m
    join silver.entities e on e.entity_id = m.entity_id group by e.media_type
) b on b.media_type = o.media_type order by o.members desc, o.media_type
"""

STRATA = """
select stratum, count(*) as members, min(weight) as least_weight, max(weight) as most_weight
from gold.dataset_members where dataset_id = $id group by stratum order by stratum
"""

GROUPS = """
select count(*) as leak_groups, count(*) filter (where members > 1) as of_several, max(members) as largest,
    coalesce(sum(members) filter (where members > 1), 0) as members_in_several
from (select group_id, count(*) as members from gold.dataset_members where dataset_id = $id group by group_id) each
"""

ANSWERS = "select split, answer_json from gold.dataset_members where dataset_id = $id and answer_json is not null"

VARIANTS = "select count(*) as n from gold.dataset_members where dataset_id = $id and operation = 'variant'"

CELLS = "select cells_json from gold.datasets where dataset_id = $id"

MOST_ROWS = 200
"""Classes and strata that a card lists; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Card:
    """What is in a dataset version.

    Attributes:
        version: The version with its pins.
        media: media_type, members, bytes, smallest and largest (bytes of one).
        labels: label -> split -> members.
        regions: label -> split -> regions, of answers that are regions; '' for those without a label.
        strata: stratum, members, least_weight, most_weight; one row of '' without strata.
        short: stratum, wanted, available, taken, short, borrowed (cell -> members that stand in) of the strata that
            have fewer members of their own than the recipe wants.
        excluded: reason, entities, example.
        groups: leak_groups, of_several, largest, members_in_several.
        dimensions: Those that the recipe reads.
        more_dimensions: How many there are beyond them.
        answers: Who stands behind the answers; None: no question.
        licences: licence ('' where none is stated), source, members.
        samples: Members to look at.
        load: Three lines of Python that read a batch, run in the folder of the lake.
        variants: How many members are variants of others.
    """

    version: PinnedVersion
    media: list[Row]
    labels: dict[str, dict[str, int]]
    regions: dict[str, dict[str, int]]
    strata: list[Row]
    short: list[Row]
    excluded: list[Row]
    groups: Row
    dimensions: list[Distribution]
    more_dimensions: int
    answers: Provenance | None
    licences: list[Row]
    samples: list[Sample]
    load: tuple[str, str, str]
    variants: int = 0

    @property
    def stored_as(self) -> str:
        """What the recipe has stored of pictures or recordings, for people; "": they are as they were landed."""
        return told_of(self.version.version.followed)

    @property
    def duplicates(self) -> list[Row]:
        """Rows of `excluded` that are about duplicates."""
        return [row for row in self.excluded if "duplicate" in row["reason"]]

    @property
    def bytes(self) -> int:
        """Bytes of all members."""
        return sum(row["bytes"] for row in self.media)

    def record(self) -> Row:
        """Return the card as plain values, without its samples."""
        made = self.version.version
        plain: Row = {
            "dataset_id": made.dataset_id, "name": made.name, "members": made.members, "splits": dict(made.splits),
            "members_digest": made.members_digest, "built_at": self.version.built_at,
            "built_by": self.version.built_by, "recipe": dict(made.recipe), "classes": list(made.classes),
            "contracts": dict(made.contracts), "pins": dict(self.version.pins), "bytes": self.bytes,
            "load": list(self.load), "duplicates": self.duplicates,
            "dimensions": [{name: getattr(each, name) for name in Distribution.__slots__} for each in self.dimensions],
            "answers": None if self.answers is None
            else {name: getattr(self.answers, name) for name in Provenance.__slots__},
        }  # fmt: skip
        same = ("media", "labels", "regions", "strata", "short", "excluded", "groups", "more_dimensions", "licences",
                "variants", "stored_as")  # fmt: skip
        return plain | {name: getattr(self, name) for name in same}


def card_of(lake: Lake, dataset: str) -> Card:
    """Return the card of a version; nothing is written, and the same version gives the same card.

    Args:
        lake: The lake.
        dataset: As `find_dataset`.

    Raises:
        RecipeError: If there is no such dataset.
        TableError: If what it read cannot be read any more.
    """
    found = pinned_version(lake, dataset)
    # What was seen after the version was built is none of its business: its card stays what it is.
    params: Mapping[str, object] = {"id": found.dataset_id, "until": found.built_at}
    labels: dict[str, dict[str, int]] = {}
    for row in fetch(lake, LABELS, params=params):
        labels.setdefault(row["label"], {})[row["split"]] = row["members"]
    dimensions, more = distributions(lake, found)
    (groups,) = fetch(lake, GROUPS, params=params)
    return Card(
        version=found,
        media=[row | {"bytes": int(row["bytes"])} for row in fetch(lake, MEDIA, params=params)],
        labels=labels,
        regions=_regions(lake, found),
        strata=fetch(lake, STRATA, params=params),
        short=_short(lake, found.dataset_id),
        excluded=fetch(lake, EXCLUDED, params=params),
        groups={name: int(value or 0) for name, value in groups.items()},
        dimensions=dimensions,
        more_dimensions=more,
        answers=provenance(lake, found),
        licences=fetch(lake, LICENCES, params=params),
        variants=int(fetch(lake, VARIANTS, params=params)[0]["n"]),
        samples=samples_of(lake, found.dataset_id),
        load=load_lines(found),
    )


def load_lines(found: PinnedVersion) -> tuple[str, str, str]:
    """Return three lines of Python that read a first batch of the largest split, once the version is published."""
    version = found.version
    split = max(version.splits, key=lambda name: (version.splits[name], name), default="train")
    return (
        "from loaders import make_reader",
        f'reader = make_reader("datasets/{version.name}/{version.dataset_id}/{split}", batch_size=32)',
        "batch = next(iter(reader))",
    )


def _regions(lake: Lake, found: PinnedVersion) -> dict[str, dict[str, int]]:
    """Count regions by label and split, the labels by code point."""
    kind = found.version.answers
    if kind is None or kind.value_kind != "regions":
        return {}
    counts: Counter[tuple[str, str]] = Counter()
    for batch in lake.engine.stream(query(lake, ANSWERS, params={"id": found.dataset_id})):
        for row in batch.to_pylist():
            said = json.loads(row["answer_json"])
            counts.update((str(each.get("label") or ""), row["split"]) for each in said if isinstance(each, dict))
    told: dict[str, dict[str, int]] = {}
    for (label, split), count in sorted(counts.items()):
        told.setdefault(label, {})[split] = count
    return told


def _short(lake: Lake, dataset_id: str) -> list[Row]:
    rows = json.loads(fetch(lake, CELLS, params={"id": dataset_id})[0]["cells_json"] or "[]")
    names = ("stratum", "wanted", "available", "taken", "short", "borrowed")
    return [{**{name: row[name] for name in names}, "wanted": row["least"]} for row in rows if row["short"]]
