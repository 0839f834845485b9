"""YOLO: one text file per picture, one line per object; boxes, segments, turned boxes (OBB) and poses.

https://docs.ultralytics.com/datasets. Coordinates are shares of the picture's width and height, so that they become
pixels when its size is known. A class number is the row of `data.yaml` or `classes.txt`. Nine numbers are a turned box
or a polygon of four corners: the task is stated, never guessed. An empty file says "nothing here"; a picture without a
file was not labelled.
"""

from __future__ import annotations

from lakehouse.opinions.formats.format import Format
from lakehouse.opinions.formats.yolo.options import YoloOptions
from lakehouse.opinions.formats.yolo.read import read_yolo, stated_by_yolo, yolo_files
from lakehouse.opinions.formats.yolo.write import YOLO_WRITER

YOLO = Format(
    YoloOptions, yolo_files, read_yolo, "regions", stated=stated_by_yolo, one_each=True, writer=YOLO_WRITER
)  # fmt: skip
