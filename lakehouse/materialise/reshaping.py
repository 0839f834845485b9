"""Pictures that are encoded anew: what their rows say before a pixel is decoded."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.derived.identity import VARIANT
from lakehouse.derived.places import read_place
from lakehouse.derived.reading import read_by
from lakehouse.errors import RecipeError
from lakehouse.home import Root
from lakehouse.lake import Lake
from lakehouse.materialise.samples import SampleTable
from lakehouse.media.kinds.image import IMAGE
from lakehouse.media.kinds.registry import Judges, judges_of
from lakehouse.objects import read_bytes
from lakehouse.opinions.geometry import rle
from lakehouse.steps.step import StepRecord
from loaders.errors import DecodeError
from loaders.format.fields import Field
from loaders.publishing.moved_columns import move_columns, moved_fields
from loaders.publishing.picture_encoding import (
    estimated_bytes,
    is_enough,
    placement_of,
    stays,
    stored_facts,
)
from loaders.publishing.picture_form import PictureForm

HEAD = 64 << 10
"""Bytes that hold what is read of nearly every JPEG before it is decoded."""

PER_TASK = 500

SOURCE_AFFINE = Field(
    "source_affine", pa.binary(), codec="ndarray", shape=(2, 3), dtype="float64",
    doc="Multiplied with (x, y, 1), px of the picture before it was encoded anew, it gives (x, y) in the stored one.",
)  # fmt: skip

LEFT = "objects_left"
"""Rule and key of the lineage: how many objects lie outside of what is kept of their pictures."""


def reshaped(lake: Lake, samples: SampleTable, form: PictureForm, record: StepRecord) -> SampleTable:
    """Return the rows of pictures that are encoded anew: media types, sizes, and what lies in the pictures, moved.

    Args:
        lake: The lake.
        samples: Rows of pictures as they were landed.
        form: What becomes of them.
        record: Takes note of objects that leave their pictures.

    Raises:
        RecipeError: If the samples are no pictures.
        IngestError: If an object is missing.
        DecodeError: If masks do not have the size of their picture.
    """
    if IMAGE.sample not in samples.fields:
        raise RecipeError("[image] states what is stored of pictures, and the members are none; leave it out")
    picture = IMAGE.sample.name
    moved = moved_fields(samples.fields, picture)
    columns = {
        "row": pa.array(np.arange(samples.rows.num_rows)),
        "place": samples.rows[samples.objects[picture]],
        **{name: samples.rows[name] for name in ("media_type", "size_bytes", *(field.name for field in moved))},
    }
    schema = pa.schema([
        ("row", pa.int64()), ("media_type", pa.string()), ("size_bytes", pa.int64()), ("height", pa.int32()),
        ("width", pa.int32()), ("left", pa.int64()), (SOURCE_AFFINE.name, SOURCE_AFFINE.type),
        *((field.name, field.type) for field in moved),
    ])  # fmt: skip
    told = lake.engine.map_batches(
        lake.engine.from_arrow(pa.table(columns)),
        functools.partial(_reshape, root=lake.home, form=form, moved=moved, schema=schema,
                          judges=judges_of(lake.config)),
        schema, rows_per_task=PER_TASK, label="places of pictures",
    )  # fmt: skip
    found = lake.engine.arrow(told).sort_by("row")
    left = pc.sum(found["left"]).as_py() or 0
    if left:
        record.note(LEFT, "objects lie outside of what is kept of their pictures, and are in no sample", count=left)
    rows = samples.rows
    for name in ("media_type", "size_bytes", *(field.name for field in moved)):
        rows = rows.set_column(rows.column_names.index(name), name, found[name])
    rows = rows.append_column(SOURCE_AFFINE.name, found[SOURCE_AFFINE.name])
    shape = (_only(found["height"]), _only(found["width"]), 3)
    stored = replace(
        IMAGE.sample, shape=shape if None not in shape else (None, None, 3), doc=f"Encoded image; {told_of(form)}."
    )
    fields = [stored if field == IMAGE.sample else _of_stored(field) for field in samples.fields]
    return SampleTable(rows, (*fields, SOURCE_AFFINE), samples.objects)


def told_of(form: PictureForm) -> str:
    """Return what becomes of pictures, for people."""
    size = "" if form.size is None else f"{form.size[0]} x {form.size[1]} px ({form.fit}), "
    size += "" if form.max_side is None else f"longer side at most {form.max_side} px, "
    kept = "in its own codec, as it was landed where it is so already" if form.codec == "keep" else f"as {form.codec}"
    return f"{size}upright, {kept}"


def _reshape(
    batches: Iterator[pa.RecordBatch], *, root: Root, form: PictureForm, moved: Sequence[Field], schema: pa.Schema,
    judges: Judges,
) -> Iterator[pa.RecordBatch]:  # fmt: skip
    for batch in batches:
        places = batch.column("place").to_pylist()
        facts = [picture_facts(root, place, judges) for place in places]
        placements = [placement_of(form, *each[1:]) for each in facts]
        columns = {field.name: batch.column(field.name) for field in moved}
        try:
            shifted, left = move_columns(
                columns, moved, IMAGE.sample.name, placements, min_visible=form.min_visible, pack=_pack,
                max_pixels=judges.max_pixels,
            )  # fmt: skip
        except DecodeError as error:
            error.add_note(f"of the entities {', '.join(place.rpartition('#')[2] for place in places)[:200]}")
            raise
        resizes = form.size is not None or form.max_side is not None
        codecs = [form.codec_of(each[0]) for each in facts]
        is_kept = [stays(form, placement) for placement in placements]
        types, sizes = batch.column("media_type").to_pylist(), batch.column("size_bytes").to_pylist()
        rows = list(zip(placements, codecs, is_kept, types, sizes, strict=True))
        yield pa.RecordBatch.from_pydict({
            "row": batch.column("row"),
            "media_type": [kind if kept else f"image/{codec}" for _, codec, kept, kind, _ in rows],
            "size_bytes": [
                size if kept or not resizes else estimated_bytes(placement, codec)
                for placement, codec, kept, _, size in rows
            ],
            "height": [placement.canvas[0] for placement in placements],
            "width": [placement.canvas[1] for placement in placements],
            "left": left,
            SOURCE_AFFINE.name: [placement.affine.astype("<f8").tobytes() for placement in placements],
            **shifted,
        }, schema=schema)  # fmt: skip


def picture_facts(root: Root, place: str, judges: Judges) -> tuple[str | None, int, int, int]:
    """Return format, height, width and EXIF's orientation of the picture at a place.

    Raises:
        IngestError: If its bytes are missing.
        DecodeError: If its header cannot be read.
        RejectedInputError: If it is a frame of a video beyond the limits.
    """
    derived = read_place(place)
    if derived.operation == VARIANT:
        return "PNG", derived.parameters["height"], derived.parameters["width"], 1
    if not derived.operation:
        raw = memoryview(read_bytes(root, derived.parent.rpartition("#")[0], most=HEAD))
        if len(raw) < HEAD or is_enough(raw):
            return stored_facts(raw)
    return stored_facts(memoryview(read_by(root, place, judges)))


def _pack(mask: np.ndarray) -> str:
    return rle.compress(rle.encode(mask))


def _only(column: pa.ChunkedArray) -> int | None:
    values = pc.unique(column).to_pylist()
    return values[0] if len(values) == 1 else None


def _of_stored(field: Field) -> Field:
    """Return a field with what its doc says of places made true."""
    doc = field.doc.replace("of the stored picture (no EXIF rotation)", "of the stored picture")
    return replace(field, doc=doc.replace("SHA-256 of the bytes:", "SHA-256 of the bytes as they were landed:"))
