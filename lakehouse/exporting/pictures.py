"""What labels of objects need to know of a picture: its size and how viewers turn it, from its header."""

from __future__ import annotations

import sys

from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.exporting.rows import Row
from lakehouse.exporting.writing import Job
from lakehouse.media.exif import read_exif
from lakehouse.media.image import decoding, open_image
from lakehouse.media.limits import ImageLimits
from lakehouse.opinions.formats.writer import Subject
from lakehouse.opinions.geometry.regions import box_of_region
from lakehouse.opinions.reading.answer import Region

# No pixel is decoded: nothing is too large.
HEADER = ImageLimits(max_pixels=sys.maxsize, max_bytes=sys.maxsize)


def subject_of(row: Row, data: bytes, name: str) -> Subject:
    """Return a picture as writers of label formats take it.

    Raises:
        IngestError: If its header cannot be read.
    """
    try:
        image = open_image(data, limits=HEADER)
        with decoding():
            orientation = read_exif(image).orientation
    except RejectedInputError as error:
        raise IngestError(
            f"entity {row.entity_id} ({row.media_type}): its size cannot be read ({error.reason}), which its "
            "objects are placed in; leave it out of the dataset, or export parquet or webdataset"
        ) from error
    return Subject(row.entity_id, name, media_type=row.media_type, width=image.width, height=image.height,
                   orientation=orientation)  # fmt: skip


def note_outside(job: Job, subject: Subject, regions: tuple[Region, ...]) -> None:
    """Note objects that reach beyond their picture: some readers pass over all of such a picture."""
    width, height = subject.width or 0, subject.height or 0
    for each in regions:
        x, y, w, h = box_of_region(each)
        if x < 0 or y < 0 or x + w > width or y + h > height:
            text = f"{subject.name}: a {each.kind} at {x}, {y}, {w} x {h} reaches beyond {width} x {height} px"
            job.note("outside_picture", text)
