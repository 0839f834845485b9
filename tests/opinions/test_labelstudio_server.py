"""A real server of Label Studio, where it is installed: pre-annotations go there, an annotation comes back.

    LABEL_STUDIO=/path/to/label-studio python -m pytest tests/opinions/test_labelstudio_server.py
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

import lakehouse as lh
from lakehouse.errors import ConfigError, IngestError
from lakehouse.opinions.labelstudio import TOKEN, LabelStudioServer
from lakehouse.query import fetch

PROGRAM = os.environ.get("LABEL_STUDIO") or shutil.which("label-studio")
START_S = 120
SECRET = "0123456789abcdef0123456789abcdef01234567"
CONFIG = (
    '<View><Image name="image" value="$image"/><RectangleLabels name="box" toName="image"><Label value="cell"/>'
    "</RectangleLabels></View>"
)

needs_server = pytest.mark.skipif(PROGRAM is None, reason="label-studio is not installed (set LABEL_STUDIO)")


def call(url: str, path: str, body: object = None) -> dict[str, object]:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Token {SECRET}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url + path, data, headers), timeout=60) as answer:
        return json.load(answer)


@pytest.fixture
def server(tmp_path: Path, monkeypatch):
    """The URL of a server on loopback whose data lie in a folder of the test."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "LABEL_STUDIO_BASE_DATA_DIR": str(tmp_path / "data"), "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_USERNAME": "ann@example.org", "LABEL_STUDIO_PASSWORD": "for-this-test",
        "LABEL_STUDIO_USER_TOKEN": SECRET, "LABEL_STUDIO_LATEST_VERSION_CHECK": "false", "COLLECT_ANALYTICS": "false",
        "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": "",
    }  # fmt: skip
    environ = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    (tmp_path / "data").mkdir()
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [str(PROGRAM), "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)],
            env=environ | settings, cwd=tmp_path / "data", stdout=log, stderr=log,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_S
        while True:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"label-studio did not start: {(tmp_path / 'server.log').read_text()[-2_000:]}")
                time.sleep(0.5)
        monkeypatch.setenv(TOKEN, SECRET)
        yield url
    finally:
        process.terminate()
        process.wait(30)


@needs_server
@pytest.mark.slow
def test_predictions_go_to_a_real_server_and_an_annotation_comes_back_as_an_opinion(photos, server, tmp_path):
    box = {"kind": "box", "label": "cell", "x": 259, "y": 176, "w": 232, "h": 200, "score": 0.8}
    entity = fetch(photos, "select entity_id from silver.entity_sources where path = 'cat/1.jpg'")[0]["entity_id"]
    lh.record_opinions(photos, [{"entity_id": entity, "regions": [box], "frame_w": 640, "frame_h": 480,
                                 "confidence": 0.9}], source="run", question="cells", actor="model:cnn@3")  # fmt: skip
    # Which control of the interface a region is for, the export is told.
    lh.export_opinions(photos, format="labelstudio", path=tmp_path / "tasks.json", question="cells",
                       options={"control": "box", "prefix": "/data/local-files/?d="})  # fmt: skip
    project = call(server, "/api/projects/", {"title": "cells", "label_config": CONFIG})["id"]
    there = LabelStudioServer(server, int(str(project)))
    assert there.push(tmp_path / "tasks.json") == 1

    tasks = call(server, f"/api/tasks?project={project}&fields=all")["tasks"]
    (task,) = tasks
    assert task["data"] == {"image": "/data/local-files/?d=cat/1.jpg"}
    # A person takes the prediction over and moves it by a percent.
    result = call(server, f"/api/predictions?task={task['id']}")[0]["result"]
    result[0]["value"]["x"] += 1
    call(server, f"/api/tasks/{task['id']}/annotations/", {"result": result, "lead_time": 2.5})

    assert there.pull(tmp_path / "answers.json") == 1
    receipt = lh.opinions(photos, lh.OpinionSource(
        format="labelstudio", path=str(tmp_path / "answers.json"), question="cells", actor="human:nobody",
        source="photos", system=server, project=str(project)))  # fmt: skip
    assert (receipt.counts["rejected"], receipt.counts["unmatched"]) == (0, 0)
    rows = fetch(photos, "select subject_id, regions, ext from current_opinions where actor_id like 'human:%'")
    (row,) = rows
    (region,) = row["regions"]
    assert row["subject_id"] == entity
    assert (region["label"], region["x"], region["y"], region["w"], region["h"]) == (
        "cell", pytest.approx(265.4), 176, 232, 200
    )  # fmt: skip
    assert SECRET not in str(receipt)
    again = lh.opinions(photos, lh.OpinionSource(
        format="labelstudio", path=str(tmp_path / "answers.json"), question="cells", actor="human:nobody",
        source="photos", system=server, project=str(project)))  # fmt: skip
    assert again.counts["new"] == 0


def test_a_server_is_named_without_secrets_and_its_token_comes_from_the_environment(monkeypatch, tmp_path):
    with pytest.raises(ConfigError, match="without user and password"):
        LabelStudioServer("http://ann:secret@host", 1)
    monkeypatch.delenv(TOKEN, raising=False)
    with pytest.raises(ConfigError, match=f"set the environment variable {TOKEN}"):
        LabelStudioServer("http://127.0.0.1:9", 1).pull(tmp_path / "a.json")
    monkeypatch.setenv(TOKEN, "s3cret")
    with pytest.raises(IngestError, match="GET /api/projects/1/export") as caught:
        LabelStudioServer("http://127.0.0.1:9", 1).pull(tmp_path / "a.json")
    assert "s3cret" not in str(caught.value)
    assert not (tmp_path / "a.json").exists()
