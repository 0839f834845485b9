"""The id of a derived entity: a hash of what it was made of, and how. The one place that makes such ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.canonical import content_id

CROP = "crop"
"""A box of a picture: left, top, width and height in whole px of the picture as stored; it may reach beyond it."""

FRAME = "frame"
"""A frame of a video, upright, as RGB; see `lakehouse.media.video_cut` for its parameters and those of a clip."""

CLIP = "clip"
"""Frames of a video, one after the other."""

REFERENCES = (FRAME, CLIP)
"""Operations of entities that are stored nowhere: their bytes are made of their parent's."""

VARIANT = "variant"
"""A picture made upright, turned, cut, mirrored and coloured, as `loaders.publishing.variants.Variant` says it: `turn`,
`left`, `top`, `width` and `height`, and of what is not as it was `mirror`, `contrast` and `gains`; `occurrence`: which
of several equal ones; `of`: parameters of the crop of the parent that it is a variant of, where it is one of a crop."""

WINDOW = "window"
"""Several entities, one after the other; an entity may come again at the end. No parameters."""


def derived_id(parents: Sequence[str], operation: str, parameters: Mapping[str, object]) -> str:
    """Return the id of a derived entity, 64 hex digits like that of any other.

    Args:
        parents: Ids of the entities that it is made of, in order.
        operation: Name of the operation.
        parameters: What its outcome hangs on, as canonical JSON has it; nothing that its bytes are merely stored as.
    """
    return content_id({"parents": list(parents), "operation": operation, "parameters": dict(parameters)}, digits=64)
