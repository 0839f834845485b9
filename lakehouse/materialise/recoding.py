"""Recordings that are encoded anew: what their rows say before a sample is decoded."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.errors import RecipeError
from lakehouse.home import Root
from lakehouse.lake import Lake
from lakehouse.materialise.samples import SampleTable
from lakehouse.media.kinds.audio import AUDIO
from lakehouse.objects import read_bytes
from lakehouse.steps.step import StepRecord
from loaders.errors import DecodeError
from loaders.publishing.recording_encoding import Shape, check_shape, shape_of, stored_facts
from loaders.publishing.recording_form import KEEP, RecordingForm

HEAD = 64 << 10
"""Bytes that hold the header of nearly every WAV."""

PER_TASK = 500

CUT, PADDED = "recordings_cut", "recordings_padded"
"""Rules of notes: how many recordings lose frames, or get silence."""

SHAPES = pa.schema([
    ("row", pa.int64()), ("media_type", pa.string()), ("size_bytes", pa.int64()), ("frames", pa.int64()),
    ("channels", pa.int64()), ("change", pa.int64()),
])  # fmt: skip


def recoded(lake: Lake, samples: SampleTable, form: RecordingForm, record: StepRecord) -> SampleTable:
    """Return the rows of recordings that are encoded anew: media types, sizes, and one shape where all have it.

    Args:
        lake: The lake.
        samples: Rows of recordings as they were landed.
        form: What becomes of them.
        record: Takes note of recordings that are cut or padded.

    Raises:
        RecipeError: If the samples are no recordings.
        IngestError: If an object is missing.
        DecodeError: If a header cannot be read.
    """
    if AUDIO.sample not in samples.fields:
        raise RecipeError("[audio] states what is stored of recordings, and the members are none; leave it out")
    name = AUDIO.sample.name
    columns = {
        "row": pa.array(np.arange(samples.rows.num_rows)),
        "place": samples.rows[samples.objects[name]],
        **{each: samples.rows[each] for each in ("media_type", "size_bytes")},
    }
    told = lake.engine.map_batches(
        lake.engine.from_arrow(pa.table(columns)), functools.partial(_recode, root=lake.home, form=form), SHAPES,
        rows_per_task=PER_TASK, label="lengths of recordings",
    )  # fmt: skip
    found = lake.engine.arrow(told).sort_by("row")
    seconds = f"{form.max_seconds:g} s" if form.max_seconds is not None else ""
    for rule, is_so, text in (
        (CUT, pc.less(found["change"], 0), f"recordings are cut to the {form.part} of them, {seconds}"),
        (PADDED, pc.greater(found["change"], 0), f"recordings get silence at their end, up to {seconds}"),
    ):
        count = pc.sum(is_so).as_py() or 0
        if count:
            record.note(rule, text, count=count)
    rows = samples.rows
    for each in ("media_type", "size_bytes"):
        rows = rows.set_column(rows.column_names.index(each), each, found[each])
    shape = (_only(found["frames"]), _only(found["channels"]))
    stored = replace(
        AUDIO.sample, shape=shape, doc=f"Encoded recording; {told_of(form)}. Read as float32, (frames, channels)."
    )
    fields = tuple(stored if field == AUDIO.sample else field for field in samples.fields)
    return SampleTable(rows, fields, samples.objects)


def told_of(form: RecordingForm) -> str:
    """Return what becomes of recordings, for people."""
    told = [] if form.sample_rate is None else [f"{form.sample_rate} Hz"]
    told += [] if form.channels is None else ["one channel, the mean of all"]
    told += [] if form.max_seconds is None else [f"the {form.part} of at most {form.max_seconds:g} s"]
    told += ["padded with silence"] if form.pad else []
    told += ["as it was landed where it is so already" if form.codec == KEEP else f"as {form.codec} of 16 bits"]
    return ", ".join(told)


def _recode(batches: Iterator[pa.RecordBatch], *, root: Root, form: RecordingForm) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        shapes = [recording_shape(root, place, form) for place in batch.column("place").to_pylist()]
        types, sizes = batch.column("media_type").to_pylist(), batch.column("size_bytes").to_pylist()
        rows = list(zip(shapes, types, sizes, strict=True))
        yield pa.RecordBatch.from_pydict({
            "row": batch.column("row"),
            "media_type": [f"audio/{shape.codec}" if shape.codec else kind for shape, kind, _ in rows],
            "size_bytes": [shape.bytes if shape.codec else size for shape, _, size in rows],
            "frames": [shape.frames for shape in shapes],
            "channels": [shape.channels for shape in shapes],
            "change": [shape.change for shape in shapes],
        }, schema=SHAPES)  # fmt: skip


def recording_shape(root: Root, place: str, form: RecordingForm) -> Shape:
    """Return what the recording at a place becomes.

    Raises:
        IngestError: If its bytes are missing.
        DecodeError: If its header cannot be read, or what it becomes could not.
    """
    uri = place.rpartition("#")[0]
    head = read_bytes(root, uri, most=HEAD)
    try:
        found = stored_facts(head)
    except DecodeError:
        if len(head) < HEAD:
            raise
        found = None
    if found is None or (found.format != "WAV" and len(head) == HEAD):
        found = stored_facts(read_bytes(root, uri, most=None))
    shape = shape_of(form, found)
    try:
        check_shape(shape)
    except DecodeError as error:
        error.add_note(f"of the recording at {place}")
        raise
    return shape


def _only(column: pa.ChunkedArray) -> int | None:
    values = pc.unique(column).to_pylist()
    return values[0] if len(values) == 1 else None
