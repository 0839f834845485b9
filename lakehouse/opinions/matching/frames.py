"""What an answer says of its picture beside what the lake knows of it: the frame, the turn, boxes outside.

An answer that states no frame gets that of its picture, so that it is the same one when a file states it.

Geometry is kept in pixels of the stored picture. Many tools show pictures upright and write what they show: where the
frame of an answer is that of the picture turned by its EXIF orientation, its regions are turned back.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pyarrow as pa

from lakehouse.engines import Relation
from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.home import Root
from lakehouse.lake import Lake
from lakehouse.media.image import read_facts
from lakehouse.objects import read_bytes
from lakehouse.opinions.formats.common import reject
from lakehouse.opinions.matching.scaling import in_pixels
from lakehouse.opinions.matching.turning import can_turn, turned_back
from lakehouse.opinions.reading.answer import Answer, Frame, Region
from lakehouse.opinions.reading.answer_rows import ITEMS, note_texts, reject_row
from lakehouse.opinions.reading.check import is_outside, noted
from lakehouse.opinions.reading.packed import batch_of, packed, rows_of, unpacked
from lakehouse.query import count_rows, fetch, query

ROWS_PER_TASK = 2_000

REMARKABLE = """
select count(*) as n from items i left join matches m on m.asked = i.asked
where i.kind = 'answer' and (i.value_kind = 'regions' or m.note is not null)
"""

SIZES = """measured as (
    select entity_id, extractor_version,
        max(case when dimension = 'width' then number end) as width,
        max(case when dimension = 'height' then number end) as height,
        max(case when dimension = 'exif_orientation' then number end) as orientation
    from silver.dimensions
    where extractor = 'image_header' and dimension in ('width', 'height', 'exif_orientation')
    group by entity_id, extractor_version
), ranked as (
    select entity_id, width, height, orientation,
        row_number() over (partition by entity_id order by extractor_version desc) as age
    from measured
)"""
"""Tables of a WITH list: `ranked` has what is measured of pictures, of age 1 the newest."""

UNFIT = f"""
with {SIZES}
select {", ".join(f"i.{name}" for name in ITEMS.names)},
    m.note as match_note, e.media_type, e.object_uri, r.width, r.height, r.orientation
from items i
left join matches m on m.asked = i.asked and m.candidates = 1
left join silver.entities e on e.entity_id = m.subject_id
left join ranked r on r.entity_id = m.subject_id and r.age = 1
where i.kind = 'answer' and (m.note is not null or (
    i.value_kind = 'regions' and e.media_type is not null
    and not coalesce(i.fits_w = r.width and i.fits_h = r.height and coalesce(r.orientation, 1) = 1, false)
))
"""
"""Answers that may not stay as they are, with what is known of the pictures that they are about.

Where the frame of an answer is the picture as stored, nothing turns it and no region reaches beyond, all is well.
"""

REFITTED = f"""
select {", ".join(f"i.{name}" for name in ITEMS.names)} from items i
where not exists (select 1 from fitted f where f.part = i.part and f.line = i.line)
union all
select {", ".join(f"f.{name}" for name in ITEMS.names)} from fitted f
"""


class Picture(NamedTuple):
    """Size as stored, px, and the EXIF orientation (1 to 8; None: not stated)."""

    width: int
    height: int
    orientation: int | None


def fit_to_pictures(lake: Lake, items: Relation, matches: Relation) -> Relation:
    """Return the items with regions on the stored picture, and with notes on guessed names and odd frames."""
    both = {"items": items, "matches": matches}
    if not fetch(lake, REMARKABLE, inputs=both)[0]["n"]:
        return items
    unfit = lake.engine.stage(query(lake, UNFIT, inputs=both))
    if not count_rows(lake, unfit):
        return items
    fitted = lake.engine.map_batches(
        unfit,
        functools.partial(fitted_rows, root=lake.home, max_bytes=lake.config.images.max_bytes),
        ITEMS,
        rows_per_task=ROWS_PER_TASK,
        label="pictures",
    )
    return lake.engine.stage(query(lake, REFITTED, inputs={"items": items, "fitted": fitted}))


def fitted_rows(batches: Iterator[pa.RecordBatch], *, root: Root, max_bytes: int) -> Iterator[pa.RecordBatch]:
    """Yield `ITEMS` of rows of `UNFIT`."""
    for batch in batches:
        yield batch_of([_fitted(row, root, max_bytes) for row in rows_of(batch)], ITEMS)


def fitted(answer: Answer, picture: Picture | None) -> Answer:
    """Return an answer with regions as it fits its picture; None: nobody knows the picture's size."""
    if answer.frame.relative and picture is not None:
        answer = in_pixels(answer, *_upright(picture))
    regions = [each for each in (answer.value if isinstance(answer.value, tuple) else ()) if isinstance(each, Region)]
    frame = answer.frame
    if frame.relative:
        raise RejectedInputError("size_unknown", "is in shares of its picture, whose size cannot be read")
    if picture is None:
        stated = frame.width is not None or bool(regions)
        text = "its picture could not be read, so that nothing was compared with it"
        return noted(answer, {"frame_not_checked": text}) if stated else answer
    stored, upright = (picture.width, picture.height), _upright(picture)
    said = (frame.width, frame.height)
    notes = {}
    if None not in said and said != stored:
        turns = said == upright and picture.orientation is not None and frame.exif_orientation is None
        if turns and picture.orientation is not None and all(map(can_turn, regions)):
            turned = tuple(turned_back(each, picture.width, picture.height, picture.orientation) for each in regions)
            frame = Frame(*stored, picture.orientation)
            answer = dataclasses.replace(answer, value=turned, frame=frame)
            regions = list(turned)
            notes["turned_by_exif"] = (
                f"was drawn on the upright picture of {said[0]} x {said[1]} px; kept on the stored one of "
                f"{stored[0]} x {stored[1]} px (EXIF orientation {picture.orientation})"
            )
        else:
            notes["frame_differs"] = (
                f"says that its picture has {said[0]} x {said[1]} px, it has {stored[0]} x {stored[1]} px: "
                "its regions are kept as they are"
            )
    elif regions and picture.orientation not in (None, 1) and frame.exif_orientation is None and upright == stored:
        notes["turn_unknown"] = (
            f"its picture has EXIF orientation {picture.orientation}, which leaves the size as it is: "
            "taken as drawn on the stored picture"
        )
    outside = sum(is_outside(region, *stored) for region in regions)
    if outside:
        notes["outside_picture"] = f"{outside} regions reach beyond the picture of {stored[0]} x {stored[1]} px"
    return noted(answer, notes)


def framed(answer: Answer, picture: Picture | None) -> Answer:
    """Return an answer with regions with the sides of its picture where it states none; None: nobody knows them."""
    frame = answer.frame
    if picture is None or answer.value_kind != "regions" or None not in (frame.width, frame.height):
        return answer
    sides = frame.width or picture.width, frame.height or picture.height
    return dataclasses.replace(answer, frame=dataclasses.replace(frame, width=sides[0], height=sides[1]))


def _fitted(row: dict[str, object], root: Root, max_bytes: int) -> dict[str, object]:
    item = {name: row[name] for name in ITEMS.names}
    match_note = row["match_note"]
    is_picture = row["value_kind"] == "regions" and str(row["media_type"] or "").startswith("image/")
    before = unpacked(row)
    answer = before
    if match_note is not None:
        rule, _, text = str(match_note).partition(": ")
        answer = noted(answer, {rule: text})
    try:
        if is_picture or (answer.frame.relative and row["media_type"] is not None):
            picture = picture_of(row, root, max_bytes) if is_picture else None
            answer = framed(fitted(answer, picture), picture)
    except RejectedInputError as error:
        place = {name: row[name] for name in ("part", "line")}
        return dict.fromkeys(ITEMS.names) | place | reject_row(
            reject(answer.where, error.rule, error.reason, answer.raw_json)
        )
    if answer is before:
        return item
    notes = row["notes"] if isinstance(row["notes"], list) else []
    return item | {
        **packed(answer),
        "notes": [*notes, *(note_texts(answer.notes) or ())],
    }


def picture_of(row: Mapping[str, object], root: Root, max_bytes: int) -> Picture | None:
    """Return what is known of a picture; None if its header cannot be read.

    Args:
        row: width, height and orientation as they were measured, null where they were not, and object_uri.
        root: The lake.
        max_bytes: A larger file is not read.
    """
    width, height, orientation = (_whole(row[name]) for name in ("width", "height", "orientation"))
    if width is not None and height is not None:
        return Picture(width, height, orientation)
    # Not measured yet: its header tells.
    try:
        facts = read_facts(read_bytes(root, str(row["object_uri"]), limit=max_bytes))
    except (IngestError, RejectedInputError):
        return None
    return Picture(facts.width_px, facts.height_px, facts.exif_orientation)


def _upright(picture: Picture) -> tuple[int, int]:
    turns = picture.orientation is not None and picture.orientation >= 5
    return (picture.height, picture.width) if turns else (picture.width, picture.height)


def _whole(number: object) -> int | None:
    return int(number) if isinstance(number, float | int) else None
