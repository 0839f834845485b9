"""Label Studio's JSON, both ways: tasks with the answers of several people and models."""

from __future__ import annotations

import codecs
import functools
import re

from lakehouse.opinions.formats.common import plain_files
from lakehouse.opinions.formats.format import Format
from lakehouse.opinions.formats.labelstudio.options import LabelStudioOptions
from lakehouse.opinions.formats.labelstudio.tasks import read_labelstudio
from lakehouse.opinions.formats.labelstudio.write import LABELSTUDIO_WRITER

_HAS_DATA = re.compile(rb'"data"\s*:\s*\{')
_HAS_ANSWERS = re.compile(rb'"(annotations|predictions|completions)"\s*:')


def looks_like_labelstudio(head: bytes) -> bool:
    """Return whether a file begins as a list of tasks with answers does, or one task."""
    first = head.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    return first in (b"[", b"{") and bool(_HAS_DATA.search(head) and _HAS_ANSWERS.search(head))


LABELSTUDIO = Format(
    LabelStudioOptions,
    functools.partial(plain_files, pattern="*.json"),
    read_labelstudio,
    "",
    endings=(".json",),
    sniff=looks_like_labelstudio,
    writer=LABELSTUDIO_WRITER,
)
