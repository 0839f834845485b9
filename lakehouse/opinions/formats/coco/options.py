"""What reading COCO needs to be told."""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse.errors import ConfigError
from lakehouse.opinions.formats.common import CommonOptions

TASKS = ("", "instances", "keypoints", "panoptic", "captions", "results")


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoOptions(CommonOptions):
    """Options of COCO.

    Attributes:
        task: instances, keypoints, panoptic, captions or results; "": as the file itself shows. Of annotations with
            keypoints and a segmentation `instances` takes the segmentation.
        ground_truth: Of results: file with the pictures and categories that they are about.
        png_folder: Of panoptic: folder of the PNG files; "": called as the JSON file, or beside it.
        unlisted: Of results: what the model said of pictures of the ground truth that the results do not name:
            `unknown` (nothing is imported, their number is noted) or `empty` (it found nothing).
        keep_raw: Keep the records of each picture in `raw_json`.
    """

    task: str = ""
    ground_truth: str = ""
    png_folder: str = ""
    unlisted: str = "unknown"
    keep_raw: bool = True

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ConfigError(f"coco: task must be one of {', '.join(filter(None, TASKS))}, found {self.task!r}")
        if self.unlisted not in ("unknown", "empty"):
            raise ConfigError(f"coco: unlisted must be unknown or empty, found {self.unlisted!r}")

    @property
    def value_kind(self) -> str:
        """Captions are texts, all else are regions."""
        return "text" if self.task == "captions" else "regions"
