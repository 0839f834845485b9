"""The built front end is that of the sources which stand beside it, and nothing else loads a web server."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from lakehouse.viewing.built import FRONT

VIEWER = Path(__file__).resolve().parents[2] / "viewer"


def test_what_is_shipped_was_built_from_these_sources():
    others = ["public/index.html", "package.json", "vite.config.js"]
    names = sorted([f"src/{each.name}" for each in (VIEWER / "src").iterdir()] + others)
    found = hashlib.sha256(b"".join(f"{name}\0".encode() + (VIEWER / name).read_bytes() + b"\0" for name in names))
    assert (FRONT / "built_from").read_text().strip() == found.hexdigest(), "run: cd viewer && npm ci && npm run build"


def test_the_page_asks_no_other_host_for_anything():
    for name in ("index.html", "app.js", "app.css"):
        text = (FRONT / name).read_text().replace("http://www.w3.org/", "")
        assert "http://" not in text, name
        assert "https://" not in text, name


def test_the_library_loads_no_web_server():
    program = (
        "import sys, lakehouse, jobs.cli, jobs.view, lakehouse.viewing.export, lakehouse.viewing.widget\n"
        "print(sorted({'starlette', 'uvicorn'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
