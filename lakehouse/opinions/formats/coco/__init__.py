"""COCO: instances (boxes, polygons, masks, crowds), keypoints, results, panoptic segmentation, captions.

https://cocodataset.org/#format-data and #format-results. A picture that the file lists without an annotation answers
"nothing there". Ids of categories are kept in the label set (`export_ids`) and written back: they are neither dense nor
do they begin at 0. `results` is a list of detections without pictures: `ground_truth` names the file that has them.
"""

from __future__ import annotations

import functools

from lakehouse.opinions.formats.coco.document import looks_like_coco
from lakehouse.opinions.formats.coco.options import CocoOptions
from lakehouse.opinions.formats.coco.read import read_coco, read_coco_piece
from lakehouse.opinions.formats.coco.stated import stated_by_coco
from lakehouse.opinions.formats.coco.write import COCO_WRITER
from lakehouse.opinions.formats.common import plain_files
from lakehouse.opinions.formats.format import Format

COCO = Format(
    CocoOptions, functools.partial(plain_files, pattern="*.json"), read_coco, "regions", endings=(".json",),
    sniff=looks_like_coco, stated=stated_by_coco, one_each=True, writer=COCO_WRITER, read_piece=read_coco_piece,
)  # fmt: skip
