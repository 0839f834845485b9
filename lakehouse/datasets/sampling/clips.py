"""Samples that are clips: stretches of frames of each video, of equal length, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from lakehouse.datasets.recipes.sections.samples import Samples
from lakehouse.datasets.sampling.rows import SAMPLES
from lakehouse.derived.identity import CLIP, derived_id
from lakehouse.derived.video import clip_bytes
from lakehouse.errors import RecipeError
from lakehouse.media.clip_places import ClipRule, clip_places
from loaders.decoding.verdict import MAX_VIDEO_BYTES
from schemas.canonical import canonical_json

VIDEOS = """
select c.entity_id, c.fields_json, c.label, c.label_share, c.label_votes, c.all_votes, c.answer_json, c.reason,
    c.problem_detail, cast({cell} as varchar) as cell,
    e.video_frames, e.video_duration_s, e.video_height, e.video_width
from considered c join entities_wide e on e.entity_id = c.entity_id {tally}
"""

OF_WHOLE = ("label", "labels", "number", "bool", "text")
"""Kinds of values that say something of a whole video, and hence of each of its clips."""

ANSWER = ("label", "label_share", "label_votes", "all_votes", "answer_json", "cell")


def clips_of(batches: Iterator[pa.RecordBatch], *, samples: Samples) -> Iterator[pa.RecordBatch]:
    """Yield rows of `SAMPLES` for rows of `VIDEOS`.

    Raises:
        RecipeError: If a video gives more clips than `lakehouse.media.clip_places.MOST_CLIPS`.
    """
    for batch in batches:
        rows = [row for video in batch.to_pylist() for row in _of_video(video, samples)]
        yield pa.RecordBatch.from_pylist(rows, schema=SAMPLES)


def rule_of(samples: Samples) -> ClipRule:
    """Return how videos are cut."""
    return ClipRule(
        samples.length, samples.step, samples.stride, samples.step_s, samples.stride_s,
        pads=samples.incomplete == "pad",
    )  # fmt: skip


def _of_video(video: Mapping[str, Any], samples: Samples) -> Iterator[dict[str, Any]]:
    thing = video["entity_id"]
    whole = {"entity_id": thing, "source_id": thing, "fields_json": video["fields_json"]}
    whole |= {name: video[name] for name in ANSWER}
    if video["reason"] is not None:
        yield whole | {"problem": video["reason"], "problem_detail": video["problem_detail"]}
        return
    if None in (video["video_frames"], video["video_duration_s"], video["video_height"], video["video_width"]):
        detail = "nobody measured its frames; run `petrel dimensions`"
        yield whole | {"problem": "size_unknown", "problem_detail": detail}
        return
    frames, seconds = int(video["video_frames"]), float(video["video_duration_s"])
    height, width = samples.size or (int(video["video_height"]), int(video["video_width"]))
    try:
        found = clip_places(rule_of(samples), frames=frames, duration_s=seconds)
    except ValueError as error:
        raise RecipeError(f"[samples]: {error} (video {thing})") from error
    size = clip_bytes((samples.length, height, width, 3))
    for parameters, is_whole in [*((each, True) for each in found.whole), *((each, False) for each in found.rest)]:
        told = {**parameters, "height": height, "width": width}
        row = {
            **whole,
            "entity_id": derived_id([thing], CLIP, told),
            "parent_ids": [thing],
            "operation": CLIP,
            "parameters_json": canonical_json(told),
            "size_bytes": size,
        }
        if not is_whole:
            detail = f"its video ends, after {frames} frames and {seconds:g} s, before it has {samples.length} frames"
            row |= {"problem": "incomplete_clip", "problem_detail": detail}
        elif size > MAX_VIDEO_BYTES:
            detail = f"{size:,} bytes, at most {MAX_VIDEO_BYTES:,}; take fewer frames, or smaller ones by samples.size"
            row |= {"problem": "clip_too_large", "problem_detail": detail}
        yield row
