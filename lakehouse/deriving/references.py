"""Frames and clips as entities that are stored nowhere: their ids, their rows, and what is known without decoding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lakehouse.derived.identity import CLIP, FRAME, REFERENCES, derived_id
from lakehouse.derived.video import CLIP_TYPE, FRAME_TYPE, clip_bytes, frame_bytes
from lakehouse.deriving.values import Frames, Reference
from lakehouse.dimensions.values import check_values
from lakehouse.extractors.extractor import Value
from lakehouse.extractors.video_cut import VIDEO_CUT, CutView
from lakehouse.media.video_cut import frame_numbers
from schemas.canonical import canonical_json

KEYS: Mapping[str, tuple[set[str], ...]] = {
    FRAME: ({"index"}, {"time_s"}),
    CLIP: ({"start", "length", "step"}, {"start_s", "length", "step_s"}),
}
"""Operation -> the parameters that say which frames, in frames and in seconds."""

SIZE = {"height", "width"}
MOST_FRAMES = 100_000
"""Of a clip."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One frame or clip.

    Attributes:
        entity_id: Its id.
        row: What its row of silver.entities says beside that of its parent.
        values: Its dimensions, as `VIDEO_CUT` has them.
        affine: None: its regions are not those of a video.
    """

    entity_id: str
    row: Mapping[str, object]
    values: list[Value]
    affine: None = None


def cut_of(parent: Mapping[str, Any], video: object, reference: Reference) -> Cut:
    """Return a frame or clip of a video.

    A frame is named by its number, also where a moment was given: it is one entity. A clip states how large it is.

    Args:
        parent: entity_id and storage of the video.
        video: Its `Frames`.
        reference: What is asked for.

    Raises:
        TypeError, ValueError: If it cannot be; of what is no part of the video a DecodeError.
    """
    if not isinstance(video, Frames) or parent["storage"] == "none":
        raise TypeError("references are to parts of videos that are stored, by transforms that take a video")
    parameters = _checked(reference)
    numbers = frame_numbers(parameters, video.times, video.duration_s)
    height, width = int(parameters.get("height", video.height)), int(parameters.get("width", video.width))
    if reference.operation == FRAME:
        parameters = {"index": numbers[0]}
        about = {"media_type": FRAME_TYPE, "size_bytes": frame_bytes(height, width), "pixel_type": "uint8"}
    else:
        parameters = {**parameters, "height": height, "width": width}
        about = {"media_type": CLIP_TYPE, "size_bytes": clip_bytes((len(numbers), height, width, 3))}
    values = VIDEO_CUT.function(CutView(numbers, video.times, height, width))
    made = {"storage": "none", "operation": reference.operation, "parameters_json": canonical_json(parameters)}
    name = derived_id([parent["entity_id"]], reference.operation, parameters)
    return Cut(name, about | made, check_values(VIDEO_CUT, values))


def _checked(reference: Reference) -> dict[str, int | float]:
    operation, parameters = reference.operation, dict(reference.parameters)
    if operation not in REFERENCES:
        raise ValueError(f"references are {' or '.join(REFERENCES)}, found {operation!r}")
    names = set(parameters)
    allowed = KEYS[operation]
    if operation == CLIP:
        allowed += tuple(keys | SIZE for keys in allowed)
    if names not in allowed:
        raise ValueError(f"parameters of a {operation}: expected {_told(allowed)}, found {', '.join(sorted(names))}")
    for name, value in parameters.items():
        is_seconds = name.endswith("_s")
        least = 0 if name in ("index", "start", "time_s", "start_s") else 1e-6 if is_seconds else 1
        if isinstance(value, bool) or not isinstance(value, float | int if is_seconds else int) or not value >= least:
            raise ValueError(f"{name} of a {operation}: expected a number from {least:g}, found {value!r}")
    if parameters.get("length", 1) > MOST_FRAMES:
        raise ValueError(f"a clip has at most {MOST_FRAMES:,} frames, found {parameters['length']:,}")
    return {name: float(value) if name.endswith("_s") else value for name, value in parameters.items()}


def _told(allowed: tuple[set[str], ...]) -> str:
    return "; or ".join(", ".join(sorted(keys)) for keys in allowed)
