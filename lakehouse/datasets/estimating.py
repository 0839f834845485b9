"""About how many bytes members take where a recipe says what is stored: from what was measured, no byte is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.query import Pins, fetch
from lakehouse.steps.step import StepRecord

COLUMNS = {"image": ("width", "height"), "audio": ("sample_rate_hz", "audio_channels", "duration_ms")}

MEASURED = """
select m.split, e.media_type, {columns}, m.parent_ids is not null as is_made, count(*) as members,
    cast(sum(m.size_bytes) as bigint) as bytes
from members m join entities_wide e on e.entity_id = coalesce(m.parent_ids[1], m.entity_id)
group by {groups}
"""

UNMEASURED = "size_not_estimated"


def stored_bytes(
    lake: Lake, recipe: Recipe, members: Relation, pins: Pins, record: StepRecord
) -> Mapping[str, int] | None:
    """Return split -> about how many bytes its members take as they are stored; None where a recipe states nothing.

    Args:
        lake: The lake.
        recipe: The recipe.
        members: Of a plan: split, size_bytes and parent_ids, too.
        pins: What a build reads; measurements that it does not read are the newest.
        record: Takes note of members that nobody measured: they count as they were landed.
    """
    if recipe.image.form is None and recipe.audio.form is None:
        return None
    kind = "image" if recipe.image.form is not None else "audio"
    columns = COLUMNS[kind]
    named = ", ".join(f"e.{name}" for name in columns)
    text = MEASURED.format(columns=named, groups=f"m.split, e.media_type, {named}, m.parent_ids is not null")
    rows = fetch(lake, text, inputs={"members": members}, pins=pins)
    found: Counter[str] = Counter()
    unknown = 0
    for row in rows:
        each = _picture(recipe, row) if kind == "image" else _recording(recipe, row)
        if each is None:
            unknown += row["members"]
        found[row["split"]] += row["bytes"] if each is None else each * row["members"]
    if unknown:
        record.note(UNMEASURED, "nobody measured what decides how large members are stored; they count as they were "
                    "landed: `petrel dimensions`", count=unknown)  # fmt: skip
    return found


def _picture(recipe: Recipe, row: Mapping[str, Any]) -> int | None:
    from loaders.publishing.picture_encoding import estimated_bytes, placement_of

    form = recipe.image.form
    if form is None or (form.size is None and form.max_side is None):
        return int(row["bytes"]) // int(row["members"])  # of another codec alone nobody knows
    height, width = row["height"], row["width"]
    if form.size is not None:
        height, width = form.size
    elif row["is_made"]:
        # Crops and variants count by their pixels: as squares.
        height = width = max(1, round((row["bytes"] / row["members"] / 2) ** 0.5))
    if height is None or width is None:
        return None
    name = "PNG" if row["is_made"] else row["media_type"].removeprefix("image/").upper()
    return estimated_bytes(placement_of(form, int(height), int(width), 1), form.codec_of(name))


def _recording(recipe: Recipe, row: Mapping[str, Any]) -> int | None:
    from loaders.publishing.recording_encoding import expected_shape

    form, rate, channels, duration = recipe.audio.form, row["sample_rate_hz"], row["audio_channels"], row["duration_ms"]
    if form is None or None in (rate, channels, duration):
        return None
    return expected_shape(form, row["media_type"], int(rate), int(channels), duration / 1000).bytes
