"""One file outside any lake is measured by the code that measures entities: the same values."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest

import lakehouse as lh
from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.extractors.registry import all_dimensions
from lakehouse.query import fetch
from tests.corpus import good_images
from tests.dimensions.samples import boom, extractor
from tests.loaders.test_arrays_and_texts import npy
from tests.media.videos import made


def recording() -> bytes:
    place = io.BytesIO()
    with wave.open(place, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((np.sin(np.arange(4000)) * 9000).astype("<i2").tobytes())
    return place.getvalue()


def test_a_file_has_the_dimensions_that_its_entity_has(embedded_lake, tmp_path):
    folder = tmp_path / "drop"
    good_images(folder, 6)
    (folder / "tone.wav").write_bytes(recording())
    (folder / "notes.bin").write_bytes(b"\0no kind")
    (folder / "words.text").write_bytes("some Wörter of a text".encode())
    (folder / "values.npy").write_bytes(npy(np.arange(9.0)))
    (folder / "clip.mp4").write_bytes(made(frames=3))
    lh.land(embedded_lake, lh.Source(name="drop", folder=str(folder)))
    lh.entities(embedded_lake)
    lh.dimensions(embedded_lake)
    rows = fetch(embedded_lake, """
        select w.*, s.path from entities_wide w join silver.entity_sources s on s.entity_id = w.entity_id
    """)
    assert {row["path"] for row in rows} == {str(path.relative_to(folder)) for path in folder.rglob("*.*")}
    for row in rows:
        found = lh.measure(folder / row["path"])
        assert found.media_type == row["media_type"]
        assert found.rejected == {}
        assert found.values == {name: row[name] for name in found.values}
        measured = {name for name in row if row[name] is not None} & {each.name for each in all_dimensions()}
        assert measured <= set(found.values)
    assert lh.measure(folder / "notes.bin").values == {}
    assert lh.measure((folder / "tone.wav").read_bytes()).values["sample_rate_hz"] == 8000


def test_what_entities_would_reject_is_rejected_and_what_an_extractor_cannot_is_told(tmp_path):
    [picture] = good_images(tmp_path, 1)
    cut = picture.read_bytes()[: picture.stat().st_size // 2]
    with pytest.raises(RejectedInputError):
        lh.measure(cut, name=picture.name)
    with pytest.raises(RejectedInputError, match="empty"):
        lh.measure(b"", name="a.png")
    with pytest.raises(IngestError, match="cannot be read"):
        lh.measure(tmp_path / "nowhere.png")
    found = lh.measure(picture, extractors=[extractor(boom)])
    assert found.values == {}
    [(key, reason)] = found.rejected.items()
    assert key.endswith("@1")
    assert "no luck with" in reason
