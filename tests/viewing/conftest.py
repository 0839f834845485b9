"""A small lake of pictures, sound, arrays and texts, and a server that shows it."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
import wave
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lakehouse.dimensions.step import dimensions
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.lake import Lake
from lakehouse.opinions.predictions import record_opinions
from lakehouse.opinions.questions import Question
from lakehouse.query import fetch
from lakehouse.sql import connect
from lakehouse.viewing.serve import serving
from tests.making import small_lake

WIDTH, HEIGHT = 120, 80
BOX = {"kind": "box", "label": "cat", "x": 10.0, "y": 20.0, "w": 40.0, "h": 30.0, "score": 0.9}
SECRET = "<img src=x onerror='window.planted=1'>"
"""A name from data that would run a script if it were shown as HTML."""
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>window.planted=1</script></svg>"


@dataclass(frozen=True)
class Told:
    """An answer of the server."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Seen:
    """A lake that is shown: `ids` has the entity of each file by name."""

    lake: Lake
    address: str
    ids: dict[str, str]

    @property
    def base(self) -> str:
        return self.address.partition("/?")[0]

    @property
    def token(self) -> str:
        return self.address.partition("token=")[2]

    def ask(self, text: str) -> list[dict[str, Any]]:
        """Ask the lake past the server: what is written there now."""
        with connect(self.lake.root) as connection:
            rows: list[dict[str, Any]] = connection.execute(text).to_arrow_table().to_pylist()
        return rows

    def get(self, path: str, **headers: str) -> Told:
        """Ask, with the token; errors are answers too."""
        return answer_of(urllib.request.Request(self.base + path, headers={"x-petrel-token": self.token} | headers))

    def post(self, name: str, asked: object = None) -> Any:
        """Ask the API; returns the JSON of the answer."""
        data = json.dumps(asked or {}).encode()
        request = urllib.request.Request(f"{self.base}/api/{name}", data, {"x-petrel-token": self.token})
        return json.loads(answer_of(request).body)


def answer_of(request: urllib.request.Request) -> Told:
    """Return the answer, also one that is an error."""
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return Told(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Told(error.code, error.headers, error.read())


def picture(orientation: int = 1, *, seed: int = 0) -> bytes:
    """A JPEG whose stored pixels are a dark ground with a bright corner at its upper left."""
    pixels = np.full((HEIGHT, WIDTH, 3), 40 + seed, np.uint8)
    pixels[:16, :24] = (255, 255, 255)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = orientation
    place = io.BytesIO()
    image.save(place, "JPEG", quality=95, exif=exif)
    return place.getvalue()


def tone() -> bytes:
    """One second: silence, and from 0.5 s on 1,000 Hz; 8,000 samples a second."""
    times = np.arange(8000) / 8000
    samples = np.where(times < 0.5, 0, np.sin(2 * np.pi * 1000 * times) * 20000).astype("<i2")
    place = io.BytesIO()
    with wave.open(place, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(samples.tobytes())
    return place.getvalue()


def fill(lake: Lake, folder: Path) -> dict[str, str]:
    """Land files of several kinds, and answers about them."""
    folder.mkdir()
    array = io.BytesIO()
    np.save(array, np.arange(64, dtype=np.float32).reshape(8, 8))
    files = {"plain.jpg": picture(), "turned.jpg": picture(6, seed=1), "tone.wav": tone(), "grid.npy": array.getvalue(),
             "words.txt": b"a cat & a dog <b>", "evil.svg": SVG}  # fmt: skip
    for name, data in files.items():
        (folder / name).write_bytes(data)
    land(lake, Source(name="zoo", folder=str(folder), include=("*.*", "*.txt"), campaign=SECRET))
    entities(lake)
    dimensions(lake)
    rows = fetch(lake, "select name, entity_id from silver.entity_sources")
    ids = {str(row["name"]): str(row["entity_id"]) for row in rows}
    cells = Question(question_id="cells", title="Where are cats?", answer_kind="regions", labels=("cat", "dog"))
    animal = Question(question_id="animal", title=SECRET, answer_kind="label", labels=("cat", "dog", SECRET))
    frame = {"frame_w": WIDTH, "frame_h": HEIGHT}
    boxed = [{"entity_id": ids[name], "regions": [BOX]} | frame for name in ("plain.jpg", "turned.jpg")]
    record_opinions(lake, boxed, source="boxes", question=cells, actor="model:finder@1")
    said = [{"entity_id": ids["plain.jpg"], "label": SECRET}, {"entity_id": ids["turned.jpg"], "label": "dog"}]
    record_opinions(lake, said, source="labels", question=animal, actor="human:ann")
    other = [{"entity_id": ids["plain.jpg"], "label": "cat"}, {"entity_id": ids["turned.jpg"], "label": "dog"}]
    record_opinions(lake, other, source="labels2", question="animal", actor="human:bo")
    return ids


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Shown to somebody who may answer."""
    top = tmp_path_factory.mktemp("viewing")
    with small_lake(top / "lake") as lake:
        ids = fill(lake, top / "zoo")
        with serving(lake, scratch=top / "previews", actor="human:eve") as address:
            yield Seen(lake, address, ids)

