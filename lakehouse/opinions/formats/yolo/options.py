"""What reading YOLO needs to be told."""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse.errors import ConfigError
from lakehouse.opinions.formats.common import CommonOptions

TASKS = ("detect", "segment", "obb", "pose")

KIND = {"detect": "box", "segment": "polygon", "obb": "box", "pose": "keypoints"}
"""Task -> kind of its regions."""


def check_task(task: str) -> None:
    """Refuse a task that there is not.

    Raises:
        ConfigError: If it is none.
    """
    if task not in TASKS:
        raise ConfigError(f"yolo: task must be one of {', '.join(TASKS)}, found {task!r}; it is never guessed")


@dataclass(frozen=True, slots=True, kw_only=True)
class YoloOptions(CommonOptions):
    """Options of YOLO.

    Attributes:
        task: detect (boxes), segment (polygons), obb (turned boxes) or pose (keypoints).
        classes: Names in the order of their numbers, where no file tells them.
        classes_file: File that tells them: data.yaml or one name a line; "": data.yaml or classes.txt in the folder
            or one of the two above it.
        kpt_shape: Of poses: number of keypoints, and 2 or 3 numbers each; (): as data.yaml says.
        keep_raw: Keep each file's text in `raw_json`, as {"txt": ...}.
    """

    task: str
    classes: tuple[str, ...] = ()
    classes_file: str = ""
    kpt_shape: tuple[int, ...] = ()
    keep_raw: bool = True

    def __post_init__(self) -> None:
        check_task(self.task)
        if self.classes and self.classes_file:
            raise ConfigError("yolo: give classes or classes_file, not both")
        if self.kpt_shape and (len(self.kpt_shape) != 2 or self.kpt_shape[1] not in (2, 3) or self.kpt_shape[0] < 1):
            raise ConfigError(f"yolo: kpt_shape must be number of keypoints and 2 or 3, found {self.kpt_shape}")
