"""Boxes: whose answer holds, as boxes of one picture in the order in which they were said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.datasets.policies.box_samples import SAMPLE_NAMES, box_samples
from lakehouse.datasets.policies.box_scores import MEASURES, score_boxes
from lakehouse.datasets.policies.kind import NO_ANSWER, AnswerKind, Decision
from lakehouse.datasets.policies.settings import Label

TALLY = """
with ranked as (
    select subject_id, actor_id, event_time, labels, regions, row_number() over (
        partition by subject_id order by event_time desc nulls last, opinion_id desc
    ) as place
    from heard
), newest as (
    select subject_id, event_time from ranked where place = 1
), spoke as (
    select h.subject_id, count(distinct h.actor_id) as actors,
        count(distinct case when h.event_time is not distinct from n.event_time then h.actor_id end) as newest_actors
    from heard h join newest n on n.subject_id = h.subject_id group by h.subject_id
), named as (
    select distinct subject_id, label from (
        select subject_id, unnest(labels) as label from ranked where place = 1
    ) unnested
), pictures as (
    select label, count(*) as num_pictures from named group by label
), rarest as (
    select n.subject_id, n.label, row_number() over (
        partition by n.subject_id order by p.num_pictures, n.label
    ) as place
    from named n join pictures p on p.label = n.label
)
select r.subject_id as entity_id, s.actors as all_votes, s.newest_actors, r.regions, coalesce(q.label, '') as cell
from ranked r
join spoke s on s.subject_id = r.subject_id
left join rarest q on q.subject_id = r.subject_id and q.place = 1
where r.place = 1
"""
"""One row per answered picture: its newest answer; `cell` is the class in it that the fewest pictures have."""

SAID = """
select label, max(question_version) as version from (
    select unnest(labels) as label, question_version from heard
) unnested group by label order by label
"""

TRUE = ("1", "true", "yes")


def decide(row: Mapping[str, Any], settings: Label) -> Decision:
    """Return the boxes of one picture, or why they are no answer."""
    actors = int(row["all_votes"])
    if settings.policy == "single" and actors > 1:
        return Decision(reason="several_actors", detail=f"{actors} actors answered; `single` takes the answer of one")
    if settings.policy == "latest" and row["newest_actors"] > 1:
        detail = f"{row['newest_actors']} actors answered last, at the same time or at none that is known"
        return Decision(reason="tie", detail=detail)
    boxes: list[dict[str, object]] = []
    for place, region in enumerate(row["regions"], start=1):
        if None in (region["x"], region["y"], region["w"], region["h"]) or region["angle"]:
            return Decision(reason="not_boxes", detail=f"region {place} ({region['kind']}) is no upright box")
        if region["label"] is None:
            return Decision(reason="no_box_label", detail=f"region {place} has no label")
        boxes.append(_box(region))
    return Decision(answer=boxes)


def _box(region: Mapping[str, Any]) -> dict[str, object]:
    found: dict[str, object] = {name: region[name] for name in ("label", "x", "y", "w", "h")}
    if region["score"] is not None:
        found["score"] = region["score"]
    if region["iscrowd"] is not None:
        found["iscrowd"] = region["iscrowd"]
    difficult = dict(region["attrs"] or ()).get("difficult")
    if difficult is not None:
        found["difficult"] = difficult.strip().lower() in TRUE
    return found


def read(regions: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Return the boxes of one opinion, as answers of datasets have them."""
    return [_box(region) for region in regions]


def because(settings: Label, question: str) -> str:
    """Return why a member has its boxes."""
    return f"{settings.policy} boxes of `{question}`"


BOXES = AnswerKind(
    value_kind="regions",
    policies=("single", "latest"),
    version=1,
    hears=("event_time", "labels", "regions"),
    tally=TALLY,
    decide=decide,
    because=because,
    reasons=(NO_ANSWER,),
    classes=SAID,
    has_cell=True,
    samples=box_samples,
    sample_names=SAMPLE_NAMES,
    read=read,
    score=score_boxes,
    measures=MEASURES,
)
