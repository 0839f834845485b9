"""A server of Label Studio: tasks go there with pre-annotations, and what people answer comes back as a file of tasks.

Its JSON is read and written as any file is (`formats/labelstudio`); this is only the way to and from the server. The
token is taken from the environment where it is needed, and neither kept nor shown.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import ConfigError, IngestError

TOKEN = "LABEL_STUDIO_API_KEY"
"""Name of the environment variable that holds the token."""

TIMEOUT_S = 60.0
TASKS_PER_REQUEST = 500


@dataclass(frozen=True, slots=True)
class LabelStudioServer:
    """One project of a server.

    Attributes:
        url: Of the server, for example http://localhost:8080.
        project: Number of the project.
    """

    url: str
    project: int

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise ConfigError("Label Studio: url must be http(s)://host, without user and password in it")

    def push(self, tasks: Path) -> int:
        """Send the tasks of an exported file, their predictions with them; returns how many the server took.

        Annotations stay here: who gave them, the server would not know. Tasks that are sent again are new tasks there.

        Raises:
            IngestError: If the server cannot be reached or refuses.
        """
        found = json.loads(tasks.read_text(encoding="utf-8"))
        sent = 0
        for start in range(0, len(found), TASKS_PER_REQUEST):
            some = [_for_server(task) for task in found[start : start + TASKS_PER_REQUEST]]
            answer = self._call("POST", f"/api/projects/{self.project}/import", some)
            sent += int(answer["task_count"]) if isinstance(answer, dict) else 0
        return sent

    def pull(self, to: Path) -> int:
        """Write the tasks of the project with all that was answered, as one JSON file; returns their number.

        Raises:
            IngestError: If the server cannot be reached or refuses.
            ConfigError: If the file exists.
        """
        found = self._call("GET", f"/api/projects/{self.project}/export?exportType=JSON&download_all_tasks=true")
        tasks: Sequence[object] = found if isinstance(found, list) else []
        try:
            with to.open("x", encoding="utf-8") as stream:
                json.dump(tasks, stream, ensure_ascii=False)
        except FileExistsError as error:
            raise ConfigError(f"{to} exists; give a new file") from error
        return len(tasks)

    def _call(self, method: str, path: str, body: object = None) -> object:
        token = _token()
        if token.count(".") != 2:
            return self._send(method, path, body, f"Token {token}")
        # A token of today is exchanged for one of some minutes.
        found = self._send("POST", "/api/token/refresh", {"refresh": token}, None)
        return self._send(method, path, body, f"Bearer {found['access'] if isinstance(found, dict) else ''}")

    def _send(self, method: str, path: str, body: object, authorization: str | None) -> object:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url.rstrip("/") + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        if authorization is not None:
            # Not sent on to where a redirect leads.
            request.add_unredirected_header("Authorization", authorization)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            reason = error.read(500).decode("utf-8", "replace")
            raise IngestError(f"{self.url}: {method} {path}: {error.code}: {reason}") from None
        except (OSError, ValueError) as error:
            raise IngestError(f"{self.url}: {method} {path}: {error}") from None


def _token() -> str:
    found = os.environ.get(TOKEN)
    if not found:
        raise ConfigError(f"set the environment variable {TOKEN} to your token of Label Studio")
    return found


def _for_server(task: Mapping[str, object]) -> dict[str, object]:
    found = task.get("predictions")
    predictions = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    kept = ("model_version", "score", "result")
    return {
        "data": task["data"],
        "predictions": [{key: each[key] for key in kept if key in each} for each in predictions],
    }
