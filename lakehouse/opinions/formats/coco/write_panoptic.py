"""Writing COCO panoptic: `panoptic.json`, and in `panoptic/` a PNG for each picture."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from lakehouse.errors import ConfigError
from lakehouse.opinions.formats.coco.categories import categories_of, category_ids
from lakehouse.opinions.formats.coco.panoptic import pixels_of
from lakehouse.opinions.formats.names import one_name_each
from lakehouse.opinions.formats.writer import Ontology, Place, Said
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.regions import mask_of_region


def write_panoptic(said: Iterable[Said], place: Place, ontology: Ontology) -> None:
    """Write one PNG for each answer and the JSON file that tells of all.

    Raises:
        ConfigError: If a picture has no known size, or two regions share a pixel: a panoptic pixel is of one segment.
    """
    names = one_name_each((each.subject.name for each in said), ".png")
    ids = category_ids(ontology)
    images, annotations = [], []
    for number, each in enumerate(said, start=1):
        width, height = each.size
        if width is None or height is None:
            raise ConfigError(f"coco panoptic: the size of {each.subject.name} is not known; run `petrel dimensions`")
        name = names[each.subject.name]
        pixels, segments = _painted(each, ids, width, height)
        place.write(f"panoptic/{name}", pixels)
        images.append({"id": number, "file_name": each.subject.name, "width": width, "height": height})
        annotations.append({"image_id": number, "file_name": name, "segments_info": segments})
    categories = [{"isthing": 1, **each} for each in categories_of(ontology, ids)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    place.write("panoptic.json", json.dumps(document, ensure_ascii=False).encode())


def _painted(said: Said, ids: Mapping[str, int], width: int, height: int) -> tuple[bytes, list[dict[str, Any]]]:
    segments_HW = np.zeros((height, width), np.int64)
    told: list[dict[str, Any]] = []
    for region in said.regions:
        if region.kind not in ("mask", "polygon") or region.label is None:
            continue
        mask = mask_of_region(region, height, width)
        if segments_HW[mask].any():
            raise ConfigError(f"coco panoptic: two regions of {said.subject.name} share pixels; export instances")
        number = len(told) + 1
        segments_HW[mask] = number
        runs = rle.encode(mask)
        told.append({
            "id": number, "category_id": ids[region.label], "iscrowd": int(bool(region.iscrowd)),
            "bbox": list(rle.bounds(runs, height)), "area": rle.area(runs),
        })  # fmt: skip
    stream = io.BytesIO()
    Image.fromarray(pixels_of(segments_HW), "RGB").save(stream, "PNG")
    return stream.getvalue(), told
