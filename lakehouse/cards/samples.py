"""A few members to look at: small pictures, waveforms or texts, chosen by the seeded order, class by class."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass

import numpy as np
from PIL import Image

from lakehouse.datasets.versions.find import DatasetVersion, find_dataset
from lakehouse.derived.identity import CLIP
from lakehouse.derived.places import PLACE, REFERENCED, derived_place
from lakehouse.errors import PetrelError, one_line
from lakehouse.lake import Lake
from lakehouse.materialise.anew import stored_of
from lakehouse.materialise.encoding import reader_of
from lakehouse.media.kinds.registry import Judges, judges_of
from lakehouse.media.view import AudioView, EntityView, ImageView
from lakehouse.query import fetch

SAMPLES = 24
THUMBNAIL_PX = 96
"""Longer side of a small picture at most."""
LARGEST_BYTES = 64 << 20
"""Larger files are not read for a card."""
TEXT_CHARACTERS = 200
REGIONS = 200
"""Of one picture that are drawn."""
BOX = ("x", "y", "w", "h")
WAVE_STEPS = 60

CHOSEN = f"""
select c.entity_id, c.split, c.label, c.answer_json, {PLACE} as place,
    e.media_type, e.size_bytes,
    c.operation, c.parameters_json from (
    select entity_id, split, label, stratum, bucket, answer_json, parent_ids, operation, parameters_json,
        row_number() over (partition by coalesce(label, stratum) order by bucket, entity_id) as turn
    from gold.dataset_members where dataset_id = $id
) c join silver.entities e on e.entity_id = coalesce(c.parent_ids[1], c.entity_id)
{REFERENCED}
order by c.turn, coalesce(c.label, c.stratum), c.bucket, c.entity_id limit $most
"""


@dataclass(frozen=True, slots=True)
class Box:
    """A region as a card draws it: x, y, w, h in px of the stored picture, then turned by `angle` degrees clockwise."""

    x: float
    y: float
    w: float
    h: float
    angle: float
    label: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One member to look at.

    Attributes:
        entity_id: Its id.
        split: Its split.
        label: Its label; None: none.
        media_type: What it is.
        size_bytes: Size of its bytes.
        picture: JPEG of a picture, at most 96 px; None of all else.
        wave: Peaks of a recording, 0 to 1, at equal steps; () of all else.
        seconds: Length of a recording; None of all else.
        text: How a text begins; "" of all else.
        problem: Why there is nothing to see; "" where there is something.
        size_px: Width and height of the stored picture; (0, 0) of all else.
        boxes: Its regions, `REGIONS` at most; of outlines, masks and points the box around them.
    """

    entity_id: str
    split: str
    label: str | None
    media_type: str
    size_bytes: int
    picture: bytes | None = None
    wave: tuple[float, ...] = ()
    seconds: float | None = None
    text: str = ""
    problem: str = ""
    size_px: tuple[int, int] = (0, 0)
    boxes: tuple[Box, ...] = ()


def samples_of(lake: Lake, dataset_id: str, *, most: int = SAMPLES) -> list[Sample]:
    """Return members to look at, at most `most`: the first of each class, then the second, by the seeded order.

    They are as the recipe has them stored, by the encoder that is here.
    """
    judges, version = judges_of(lake.config), find_dataset(lake, dataset_id)
    rows = fetch(lake, CHOSEN, params={"id": dataset_id, "most": most})
    return [_sample(lake, judges, version, row) for row in rows]


def _sample(lake: Lake, judges: Judges, version: DatasetVersion, row: dict[str, object]) -> Sample:
    source, size, answer = row.pop("place"), int(str(row["size_bytes"])), row.pop("answer_json")
    parameters = row.pop("parameters_json")
    about = {name: row[name] for name in ("entity_id", "split", "label", "media_type")} | {"size_bytes": size}
    if source is None:
        return Sample(**about, problem="its bytes are kept nowhere")  # type: ignore[arg-type]
    if size > LARGEST_BYTES:
        return Sample(**about, problem="too large to show")  # type: ignore[arg-type]
    parent, operation = str(source), row.pop("operation")
    place = parent if operation is None else derived_place(parent, str(operation), json.loads(str(parameters)))
    recipe = version.followed
    try:
        told = stored_of(lake.home, recipe, version.answers, judges)
        if told is not None:
            said = None if answer is None else json.loads(str(answer))
            stored = told(place, str(row["media_type"]), size, said)
            about |= {"media_type": stored.media_type}
            answer = None if answer is None else json.dumps(stored.answer)
        data = reader_of(lake.home, recipe, judges)(place)
        about |= {"size_bytes": len(data)}
        is_clip = operation == CLIP
        seen = _seen_of_clip(data) if is_clip else _seen(judges.view(data, str(about["media_type"])))
        if "picture" in seen and answer is not None:
            seen["boxes"] = boxes_of(str(answer))
    except (PetrelError, OSError) as error:
        seen = {"problem": one_line(error, limit=120)}
    return Sample(**about, **seen)  # type: ignore[arg-type]


def _seen_of_clip(data: bytes) -> dict[str, object]:
    frames = np.load(io.BytesIO(data), allow_pickle=False)  # (T, H, W, 3)
    _, height, width, _ = frames.shape
    return {"picture": thumbnail(Image.fromarray(frames[len(frames) // 2])), "size_px": (width, height)}


def _seen(view: EntityView) -> dict[str, object]:
    if isinstance(view, ImageView):
        return {"picture": thumbnail(view.picture), "size_px": (view.facts.width_px, view.facts.height_px)}
    if isinstance(view, AudioView):
        peaks = np.abs(view.samples).max(axis=1) if view.samples.size else np.zeros(1)
        parts = np.array_split(peaks, min(WAVE_STEPS, len(peaks)))
        return {"wave": tuple(min(1.0, float(part.max())) for part in parts), "seconds": view.facts.duration_ms / 1000}
    text = text_of(view.data)
    return {"text": text} if text else {"problem": f"{len(view.data):,} bytes of {view.media_type}"}


def boxes_of(answer_json: str) -> tuple[Box, ...]:
    """Return the regions of an answer that have a box; () of answers of other kinds."""
    said = json.loads(answer_json)
    found = [each for each in said if isinstance(each, dict)] if isinstance(said, list) else []
    return tuple(
        Box(
            float(each["x"]), float(each["y"]), float(each["w"]), float(each["h"]), float(each.get("angle") or 0),
            str(each.get("label") or ""),
        )
        for each in found[:REGIONS]
        if all(isinstance(each.get(name), int | float) for name in BOX)
    )  # fmt: skip


def thumbnail(picture: Image.Image) -> bytes:
    """Return a picture as a small JPEG: equal pixels give equal bytes."""
    small = picture.convert("RGB")
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    place = io.BytesIO()
    small.save(place, "JPEG", quality=80)
    return place.getvalue()


def text_of(data: bytes) -> str:
    """Return how a text in UTF-8 begins; "" for bytes that are none."""
    begin = data[: 4 * TEXT_CHARACTERS]
    for cut in range(4):  # the last character may have been cut
        try:
            text = begin[: len(begin) - cut].decode()
        except UnicodeDecodeError:
            continue
        return "" if any(ord(each) < 32 and each not in "\t\r\n" for each in text) else text[:TEXT_CHARACTERS]
    return ""
