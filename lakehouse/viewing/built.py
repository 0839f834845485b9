"""The built front end, and what a browser may do with it."""

from __future__ import annotations

from pathlib import Path

FRONT = Path(__file__).parent / "front"
"""index.html, app.js and app.css, built from `viewer/`."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content security policy: nothing of another host, no script or style but those that are shipped."""
