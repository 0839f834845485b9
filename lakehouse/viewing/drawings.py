"""Drawings (SVG) as pictures: a browser gets their pixels, never their text, in which there may be scripts."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys

from lakehouse.errors import one_line
from loaders.errors import DecodeError

SVG_TYPE = "image/svg+xml"
LARGEST_BYTES = 8 << 20
SECONDS = 10
MEMORY_MB = 256
"""That drawing one takes at most."""
BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from lakehouse.viewing.drawing_process import main; main()"
)

_ENTITY = re.compile(rb"<!ENTITY", re.IGNORECASE)
_TEXT = re.compile(rb"<(?:[\w.-]+:)?text\b")
_ELSEWHERE = re.compile(rb"href\s*=\s*[\"']\s*(?!#|data:)[^\"'\s]|@import|url\(\s*[\"']?(?!#|data:|\s|[\"'])")


def drawn(data: bytes) -> tuple[bytes, str]:
    """Return the picture of an SVG, PNG, as large as the drawing says, and what is missing in it; "" where nothing is.

    It is drawn in a process of its own, which opens no file and no connection. So texts are not drawn (fonts are
    files), nor what it refers to elsewhere; the second value says so.

    Raises:
        DecodeError: If it is no drawing, or declares entities, or takes more than it may, or the library is missing.
    """
    if importlib.util.find_spec("resvg_py") is None:
        raise DecodeError("an SVG: resvg_py, which draws it, is missing; pip install 'petrel-lakehouse[view]'")
    if len(data) > LARGEST_BYTES:
        raise DecodeError(f"an SVG of {len(data):,} bytes: {LARGEST_BYTES:,} at most are drawn")
    if _ENTITY.search(data):
        raise DecodeError("an SVG that declares entities is not drawn: they may be endless, or files")
    path = [os.path.abspath(each) for each in sys.path if isinstance(each, str)]
    command = [sys.executable, "-E", "-P", "-c", BOOT, str(SECONDS), str(MEMORY_MB), json.dumps(path)]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS + 5, check=False, cwd="/")
    except subprocess.TimeoutExpired:
        raise DecodeError(f"an SVG that is not drawn within {SECONDS} s") from None
    if done.returncode == 1 and done.stderr:
        raise DecodeError(f"an SVG that cannot be drawn: {one_line(done.stderr.decode(errors='replace'), limit=120)}")
    if done.returncode:
        raise DecodeError(f"an SVG that takes more than {SECONDS} s or {MEMORY_MB} MB, or broke what draws it")
    missing = ["its texts (fonts are files)"] if _TEXT.search(data) else []
    missing += ["what it takes from elsewhere"] if _ELSEWHERE.search(data) else []
    return done.stdout, f"not drawn: {' and '.join(missing)}; no file is opened for a drawing" if missing else ""
