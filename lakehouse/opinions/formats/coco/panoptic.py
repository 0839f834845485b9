"""COCO panoptic: a PNG for each picture says of each pixel which segment it is of, the JSON what each segment is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.formats.coco.document import Category, Record, integer_id
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.regions import mask_fields
from lakehouse.opinions.reading.answer import Region
from lakehouse.opinions.reading.values import label_id

Ids = npt.NDArray[np.int64]


def ids_of(pixels_HWC: npt.NDArray[np.uint8]) -> Ids:
    """Return the segment of each pixel, R + 256 G + 65536 B; int64, shape (height, width). 0: of none.

    Args:
        pixels_HWC: uint8, shape (height, width, 3), red first.
    """
    wide = pixels_HWC.astype(np.int64)
    return cast(Ids, wide[..., 0] + (wide[..., 1] << 8) + (wide[..., 2] << 16))


def pixels_of(ids_HW: Ids) -> npt.NDArray[np.uint8]:
    """Return the colours of segments: undoes `ids_of`; ids below 2**24."""
    return np.stack([ids_HW & 0xFF, (ids_HW >> 8) & 0xFF, (ids_HW >> 16) & 0xFF], axis=-1).astype(np.uint8)


def png_folder(file: Path, stated: str) -> Path:
    """Return where the PNG files of a JSON file lie: as stated, in a folder called as it is, or beside it."""
    if stated:
        return Path(stated)
    named = file.with_suffix("")
    return named if named.is_dir() else file.parent


def panoptic_regions(
    records: list[Record], folder: Path, categories: Mapping[int, Category], notes: dict[str, str]
) -> list[Region]:
    """Return one mask for each segment of a picture.

    Args:
        records: Annotations of the picture: one, if it was annotated.
        folder: Of the PNG files.
        categories: By their ids.
        notes: Gets what is remarkable.

    Raises:
        RejectedInputError: If the PNG is missing, damaged or not the one that the JSON tells of.
    """
    if len(records) > 1:
        raise RejectedInputError("several_annotations", f"has {len(records)} panoptic annotations, expected one")
    if not records:
        raise RejectedInputError("no_annotation", "has no panoptic annotation: nobody has said anything about it")
    name, segments = records[0].get("file_name"), records[0].get("segments_info")
    if not isinstance(name, str) or not isinstance(segments, list):
        raise RejectedInputError("bad_panoptic", "has no file_name or no segments_info")
    ids = _read(folder / name)
    height, width = ids.shape
    found, known = [], {0}
    for segment in segments:
        number = integer_id(segment, "id")
        category = categories.get(integer_id(segment, "category_id"))
        if category is None:
            raise RejectedInputError("unknown_category", f"category_id {segment['category_id']} is in no `categories`")
        if number in known:
            raise RejectedInputError("bad_panoptic", f"segment {number} is there twice, or 0, which means none")
        known.add(number)
        found.append(
            Region(
                label=label_id(category.name, "category"),
                iscrowd=True if segment.get("iscrowd") in (1, True) else None,
                **mask_fields(rle.encode(ids == number), height, width),
            )
        )
    others = set(np.unique(ids).tolist()) - known
    if others:
        notes["segments_not_told"] = f"{name} has pixels of {len(others)} segments that the JSON does not tell of"
    return found


def _read(file: Path) -> Ids:
    try:
        with Image.open(file, formats=["PNG"]) as picture:
            if picture.mode not in ("RGB", "RGBA"):
                raise RejectedInputError("bad_panoptic", f"{file.name} has mode {picture.mode}, expected RGB")
            return ids_of(np.asarray(picture.convert("RGB")))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, RejectedInputError):
            raise
        raise RejectedInputError("unreadable", f"its picture of segments {file} cannot be read: {error}") from error
