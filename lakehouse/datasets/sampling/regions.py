"""Samples that are regions: one for each region that is believed about a picture, or why there is none."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from lakehouse.datasets.recipes.sections.samples import Samples
from lakehouse.datasets.sampling.crops import Refused, crop_of
from lakehouse.datasets.sampling.rows import SAMPLES
from lakehouse.derived.identity import CROP, derived_id
from lakehouse.derived.video import frame_bytes
from schemas.canonical import canonical_json, text_json

PICTURES = """
select p.entity_id, p.fields_json, t.all_votes, t.answer_json, t.problem, t.problem_detail, e.width, e.height
from picked p
join entities_wide e on e.entity_id = p.entity_id
left join tally t on t.entity_id = p.entity_id
"""


def regions_of(batches: Iterator[pa.RecordBatch], *, samples: Samples) -> Iterator[pa.RecordBatch]:
    """Yield rows of `SAMPLES` for rows of `PICTURES`."""
    for batch in batches:
        rows = [row for picture in batch.to_pylist() for row in _of_picture(picture, samples)]
        yield pa.RecordBatch.from_pylist(rows, schema=SAMPLES)


def _of_picture(picture: Mapping[str, Any], samples: Samples) -> Iterator[dict[str, Any]]:
    whole = {name: picture[name] for name in ("entity_id", "fields_json", "all_votes")}
    whole |= {"source_id": picture["entity_id"]}
    if picture["all_votes"] is None:
        yield whole
        return
    if picture["problem"] is not None:
        yield whole | {"problem": picture["problem"], "problem_detail": picture["problem_detail"]}
        return
    regions = json.loads(picture["answer_json"])
    if not regions:
        yield whole | {"problem": "no_region", "problem_detail": "it was answered that nothing is there"}
    elif picture["width"] is None or picture["height"] is None:
        detail = "nobody measured its size; run `petrel dimensions`"
        yield whole | {"problem": "size_unknown", "problem_detail": detail}
    else:
        yield from _cut(whole, regions, int(picture["height"]), int(picture["width"]), samples)


def _cut(
    whole: Mapping[str, Any], regions: list[dict[str, Any]], height: int, width: int, samples: Samples
) -> Iterator[dict[str, Any]]:
    seen: Counter[str] = Counter()
    for place, region in enumerate(regions, start=1):
        found = crop_of((region["x"], region["y"], region["w"], region["h"]), height, width, samples)
        crop = found.crop if isinstance(found, Refused) else found
        if region["label"] is None:
            found = Refused("no_region_label", "it has no label")
        # As a member would be called, so that versions can be compared.
        parameters: dict[str, object] = {"region": place} if crop is None else crop._asdict()
        text = canonical_json(parameters)
        seen[text] += 1
        if seen[text] > 1:
            # Of equal regions each is a sample: they may be said to be different things.
            parameters |= {"occurrence": seen[text]}
        row = {
            **whole,
            "entity_id": derived_id([whole["entity_id"]], CROP, parameters),
            "parent_ids": [whole["entity_id"]],
            "operation": CROP,
            "parameters_json": canonical_json(parameters),
            "answer_json": text_json(region),
            "label": region["label"],
            "cell": region["label"] or "",
        }
        if isinstance(found, Refused):
            row |= {"problem": found.reason, "problem_detail": f"region {place} ({region['kind']}): {found.detail}"}
        else:
            row["size_bytes"] = frame_bytes(found.height, found.width)
        yield row
