"""Words that a set of annotations chooses among; the command's help needs them before anything is imported."""

from __future__ import annotations

from lakehouse.plugins import names_of

FORMAT_PACKAGES = "petrel.formats"
"""Group of entry points of packages that bring formats."""

FORMATS = ("audacity", "coco", "csv", "cvat", "imagefolder", "jsonl", "labelme", "labelstudio", "mot", "openlabel",
           "parquet", "textgrid", "voc", "yolo")  # fmt: skip
"""Formats that need no package; see `lakehouse.opinions.formats`."""

MATCHES = ("auto", "path", "name", "stem", "sha256", "uri", "id")
"""How subjects are named; see `SubjectRule.match`."""

REPEATS = ("", "event", "duplicate", "votes")
"""What rows are that are equal in everything; see `OpinionSource.repeat`."""


def format_names() -> list[str]:
    """Return the names of all formats, those of installed packages too; nothing is loaded."""
    return sorted({*FORMATS, *names_of(FORMAT_PACKAGES)})

ISTHING = "coco_isthing"
"""Of `export_ids`: whether COCO takes a label for a thing (1) or for stuff (0). Several labels have the same."""
