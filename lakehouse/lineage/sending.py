"""Sending events: a line of a file, or a POST to a server. What cannot be sent stops nobody; it is told."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from pathlib import Path

from lakehouse.errors import one_line
from lakehouse.lineage.events import Event
from loaders.stores.saying import without_secrets

KEY = "OPENLINEAGE_API_KEY"
"""Variable of the environment with the key of the server, as OpenLineage's own clients have it."""


def send(place: str, sent: Event, *, timeout_s: float) -> str:
    """Send one event; return why it was not sent, "" if it was.

    Args:
        place: A file, to which a line is added, or an http or https URL.
        sent: The event.
        timeout_s: How long a server may take.
    """
    data = json.dumps(sent, ensure_ascii=False).encode()
    try:
        if "://" in place:
            _post(place, data, timeout_s)
        else:
            _append(Path(place), data + b"\n")
    except (OSError, ValueError, http.client.HTTPException) as error:
        why = f"status {error.code}" if isinstance(error, urllib.error.HTTPError) else _why(error)
        return f"{sent['eventType']} to {without_secrets(place)}: {without_secrets(why)}"
    return ""


def _append(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, data)  # in one piece: several processes may write to one file
    finally:
        os.close(descriptor)


def _post(url: str, data: bytes, timeout_s: float) -> None:
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(KEY):
        headers["Authorization"] = f"Bearer {key}"
    asked = urllib.request.Request(url, data=data, headers=headers, method="POST")
    with urllib.request.urlopen(asked, timeout=timeout_s) as answer:
        answer.read()


def _why(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return one_line(reason) or type(reason).__name__
