"""CVAT's XML 1.1 for images and for video, both ways."""

from __future__ import annotations

import functools
import re

from lakehouse.opinions.formats.common import plain_files
from lakehouse.opinions.formats.cvat.files import CvatOptions, read_cvat
from lakehouse.opinions.formats.cvat.write import CVAT_WRITER
from lakehouse.opinions.formats.format import Format
from lakehouse.opinions.reading.xml_text import shown_text

_ROOT = re.compile(r"<annotations[\s>]")


def looks_like_cvat(head: bytes) -> bool:
    """Return whether an XML file begins as CVAT's does."""
    return _ROOT.search(shown_text(head)) is not None


CVAT = Format(
    CvatOptions,
    functools.partial(plain_files, pattern="*.xml"),
    read_cvat,
    "regions",
    endings=(".xml",),
    sniff=looks_like_cvat,
    one_each=True,
    writer=CVAT_WRITER,
)
