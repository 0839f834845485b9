"""entities: every observation becomes an entity, a further source of one, or a rejection."""

from __future__ import annotations

import hashlib
import io
import wave
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.media.kinds import registry
from lakehouse.media.kinds.image import IMAGE
from lakehouse.objects import read_entity
from lakehouse.query import fetch
from lakehouse.steps.outputs import insert_outputs
from tests.ingestion.files import png, put, source
from tests.making import small_lake


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def jpeg(**options) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((32, 24), 60).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def wav(frames: int = 100) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(frames * 2))
    return buffer.getvalue()


def rejected(lake) -> dict[str, str]:
    """File name -> rule."""
    text = """select b.path, r.rule from silver.rejected r join bronze.landed_files b on b.landed_id = r.subject
              where r.step = 'entities'"""
    return {row["path"]: row["rule"] for row in fetch(lake, text)}


def test_the_same_bytes_in_three_places_are_one_entity_with_three_sources(lake, tmp_path):
    for name in ("a.png", "b/a.png", "c.jpg"):
        put(tmp_path / "drop", name, png(1))
    put(tmp_path / "drop", "d.png", png(2))
    land(lake, source(tmp_path / "drop", exclude=("c.jpg",)))
    land(lake, source(tmp_path / "drop", name="others", include=("b/*",)))
    receipt = entities(lake)
    assert receipt.counts == {"seen": 4, "stored": 2, "duplicate": 2, "rejected": 0}
    rows = fetch(lake, "select entity_id, media_type, size_bytes, object_uri, storage, origin, parent_id "
                       "from silver.entities order by size_bytes, entity_id")
    assert {row["entity_id"] for row in rows} == {sha(png(1)), sha(png(2))}
    assert {(row["media_type"], row["storage"], row["origin"], row["parent_id"]) for row in rows} == {
        ("image/png", "copy", "real", None)
    }
    seen = fetch(lake, "select source, path from silver.entity_sources where entity_id = $id order by source, path",
                 params={"id": sha(png(1))})
    assert seen == [{"source": "others", "path": "b/a.png"}, {"source": "photos", "path": "a.png"},
                    {"source": "photos", "path": "b/a.png"}]


def test_a_second_run_does_nothing_and_a_new_file_goes_alone(lake, tmp_path, clock):
    put(tmp_path / "drop", "a.png", png(1))
    put(tmp_path / "drop", "bad.png", b"no picture")
    land(lake, source(tmp_path / "drop"))
    assert entities(lake).counts == {"seen": 2, "stored": 1, "duplicate": 0, "rejected": 1}
    clock.forward(days=1)
    again = entities(lake)
    assert again.counts == {"seen": 0, "stored": 0, "duplicate": 0, "rejected": 0}
    assert not again.changed
    put(tmp_path / "drop", "b.png", png(2))
    land(lake, source(tmp_path / "drop"))
    assert entities(lake).counts == {"seen": 1, "stored": 1, "duplicate": 0, "rejected": 0}


def test_a_run_without_its_note_adds_nothing(lake, tmp_path):
    put(tmp_path / "drop", "a.png", png(1))
    put(tmp_path / "drop", "bad.png", b"")
    land(lake, source(tmp_path / "drop"))
    entities(lake)
    for note in (lake.runs / "fresh").iterdir():
        note.unlink()
    assert entities(lake).rows_new == 0


def test_bad_inputs_are_rejected_with_a_rule_each_and_stop_nothing(lake, tmp_path):
    drop = tmp_path / "drop"
    whole = jpeg()
    put(drop, "good.png", png(1))
    put(drop, "empty.png", b"")
    put(drop, "cut.jpg", whole[: len(whole) // 2])
    put(drop, "page.jpg", b"<html><body>404</body></html>")
    put(drop, "renamed.jpg", png(2))
    (drop / "link.png").symlink_to(drop / "good.png")
    land(lake, source(drop))
    receipt = entities(lake)
    assert receipt.counts == {"seen": 6, "stored": 1, "duplicate": 0, "rejected": 5}
    found = rejected(lake)
    assert found.keys() == {"empty.png", "cut.jpg", "page.jpg", "renamed.jpg", "link.png"}
    assert (found["link.png"], found["empty.png"], found["cut.jpg"]) == ("symlink", "empty", "truncated")
    (row,) = fetch(lake, "select step, source, location, reason, raw from silver.rejected where rule = 'symlink'")
    assert (row["step"], row["source"], row["raw"]) == ("entities", "photos", None)
    assert row["location"] == (drop / "link.png").as_uri()


def test_limits_of_the_configuration_hold(tmp_path):
    put(tmp_path / "drop", "large.png", png(1, side=11))
    put(tmp_path / "drop", "small.png", png(1, side=10))
    put(tmp_path / "drop", "heavy.png", png(1) + b"\0" * 500)
    with small_lake(tmp_path / "lake", "images.max_pixels=100", "images.max_bytes=400") as lake:
        land(lake, source(tmp_path / "drop"))
        assert entities(lake).counts == {"seen": 3, "stored": 1, "duplicate": 0, "rejected": 2}
        assert rejected(lake)["heavy.png"] == "too_large"


def test_what_the_sidecar_says_comes_to_the_entity(lake, tmp_path):
    put(tmp_path / "drop", "a.png", png(1))
    (tmp_path / "drop" / "a.png.json").write_text('{"who": "ada", "when": "2024-05-06T07:08:09Z"}')
    land(lake, source(tmp_path / "drop", sidecar="per_file", group_keys={"speaker": "who"}, captured_at="when",
                      origin="augmented"))
    entities(lake)
    (row,) = fetch(lake, "select group_keys, captured_at, origin from silver.entities")
    assert dict(row["group_keys"]) == {"speaker": "ada"}
    assert row["captured_at"] == datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert row["origin"] == "augmented"


def test_the_time_of_capture_is_in_the_picture_and_the_sidecar_wins(lake, tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2023:01:02 03:04:05"
    put(tmp_path / "drop", "a.jpg", jpeg(exif=exif))
    put(tmp_path / "drop", "b.jpg", jpeg(exif=exif, quality=30))
    (tmp_path / "drop" / "meta.csv").write_text("path,when\nb.jpg,2024-01-01\n")
    land(lake, source(tmp_path / "drop", sidecar="meta.csv", captured_at="when"))
    entities(lake)
    rows = fetch(lake, "select s.path, e.captured_at from silver.entities e join silver.entity_sources s "
                       "on s.entity_id = e.entity_id order by s.path")
    assert [row["captured_at"].year for row in rows] == [2023, 2024]


def test_linked_files_become_entities_where_they_are(lake, tmp_path):
    path = put(tmp_path / "drop", "a.png", png(1))
    land(lake, source(tmp_path / "drop", mode="link"))
    entities(lake)
    assert fetch(lake, "select entity_id, object_uri, storage from silver.entities") == [
        {"entity_id": sha(png(1)), "object_uri": path.as_uri(), "storage": "link"}
    ]


def test_a_linked_file_that_changed_after_it_was_landed_is_rejected(lake, tmp_path):
    put(tmp_path / "drop", "a.png", png(1))
    land(lake, source(tmp_path / "drop", mode="link"))
    put(tmp_path / "drop", "a.png", png(2))
    assert entities(lake).counts == {"seen": 1, "stored": 0, "duplicate": 0, "rejected": 1}
    assert rejected(lake) == {"a.png": "changed_after_landing"}


def test_an_object_that_is_missing_stops_the_run_and_names_it(lake, tmp_path):
    put(tmp_path / "drop", "a.png", png(1))
    land(lake, source(tmp_path / "drop"))
    (lake.root / "objects" / sha(png(1))[:2] / sha(png(1))).unlink()
    with pytest.raises(IngestError, match=f"cannot read objects/.*{sha(png(1))}"):
        entities(lake)
    assert fetch(lake, "select * from silver.entities") == []


def test_the_order_of_landing_does_not_change_the_entities(tmp_path, clock):
    hashes = []
    for place, order in (("one", ("x", "y")), ("two", ("y", "x"))):
        clock.forward(days=30)
        with small_lake(tmp_path / place, clock=clock) as lake:
            for name in order:
                for number in (1, 2, 1 if name == "x" else 3):
                    put(tmp_path / name, f"{name}{number}.png", png(number))
                land(lake, source(tmp_path / name, name=name))
                entities(lake)
            hashes.append(fetch(lake, "select row_hash from silver.entities order by entity_id"))
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) == 3


def test_another_process_that_comes_first_with_the_same_files_upsets_no_count(lake, tmp_path, monkeypatch):
    def second(*arguments, **named):
        insert_outputs(*arguments, **named)
        return insert_outputs(*arguments, **named)

    monkeypatch.setattr("lakehouse.ingestion.entities.insert_outputs", second)
    put(tmp_path / "drop", "a.png", png(1))
    put(tmp_path / "drop", "b.png", b"no picture")
    land(lake, source(tmp_path / "drop"))
    assert entities(lake).counts == {"seen": 2, "stored": 0, "duplicate": 1, "rejected": 1}


def judgements(lake) -> list[tuple[str, str | None]]:
    """Rule and what it rests on, of every rejection of the step."""
    rows = fetch(lake, "select rule, judged_by from silver.rejected where step = 'entities' order by judged_by, rule")
    return [(row["rule"], row["judged_by"]) for row in rows]


def test_what_an_older_probe_rejected_is_looked_at_by_a_newer_one(lake, tmp_path, monkeypatch):
    put(tmp_path / "drop", "a.png", png(1))
    put(tmp_path / "drop", "bad.png", b"no picture")
    land(lake, source(tmp_path / "drop"))
    with monkeypatch.context() as older:
        older.setattr(registry, "media_kinds", lambda: (replace(IMAGE, version=1, probe=refuse),))
        assert entities(lake).counts == {"seen": 2, "stored": 0, "duplicate": 0, "rejected": 2}
        assert entities(lake).counts["seen"] == 0
    assert entities(lake).counts == {"seen": 2, "stored": 1, "duplicate": 0, "rejected": 1}
    assert entities(lake).counts["seen"] == 0
    assert judgements(lake) == [
        ("unsupported_media", "probe 1"), ("unsupported_media", "probe 1"), ("extension_mismatch", "probe 2"),
    ]


def refuse(data: bytes, *, name: str, limits: object) -> None:
    raise RejectedInputError("unsupported_media", "not read yet")


def test_what_was_too_large_is_looked_at_again_when_its_limit_is_raised_and_only_then(tmp_path):
    put(tmp_path / "drop", "large.png", png(1, side=11))
    put(tmp_path / "drop", "heavy.png", png(2) + b"\0" * 500)
    put(tmp_path / "drop", "bad.png", b"no picture")
    seen = []
    for limits in ((100, 400), (100, 400), (100, 401), (121, 401), (121, 4000), (121, 4000)):
        settings = (f"images.max_pixels={limits[0]}", f"images.max_bytes={limits[1]}")
        with small_lake(tmp_path / "lake", *settings) as lake:
            land(lake, source(tmp_path / "drop"))
            receipt = entities(lake)
            seen.append((receipt.counts["seen"], receipt.counts["stored"]))
    assert seen == [(3, 0), (0, 0), (1, 0), (1, 1), (1, 1), (0, 0)]


def test_the_limit_on_pixels_can_be_raised_beyond_that_of_pillow(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow refuses what has more than twice as many
    kinds = (("RGB", "PNG"), ("P", "PNG"), ("CMYK", "JPEG"), ("P", "GIF"), ("RGB", "WEBP"), ("L", "TIFF"), ("L", "BMP"))
    for mode, kind in kinds:
        buffer = io.BytesIO()
        Image.new(mode, (30, 20)).save(buffer, kind)
        put(tmp_path / "drop", f"{mode}.{kind.lower()}", buffer.getvalue())
    with small_lake(tmp_path / "lake", "images.max_pixels=600") as lake:
        land(lake, source(tmp_path / "drop"))
        assert entities(lake).counts == {"seen": 7, "stored": 7, "duplicate": 0, "rejected": 0}


def test_a_linked_file_that_is_itself_again_is_taken(lake, tmp_path):
    put(tmp_path / "drop", "a.png", png(1))
    land(lake, source(tmp_path / "drop", mode="link"))
    put(tmp_path / "drop", "a.png", png(2))
    assert entities(lake).counts["rejected"] == 1
    put(tmp_path / "drop", "a.png", png(1))
    assert entities(lake).counts == {"seen": 1, "stored": 1, "duplicate": 0, "rejected": 0}


def test_a_linked_file_is_rejected_while_it_is_away_and_a_folder_that_is_away_stops_the_run(lake, tmp_path):
    for number in (1, 2):
        put(tmp_path / "drop", f"{number}.png", png(number))
    land(lake, source(tmp_path / "drop", mode="link"))
    (tmp_path / "drop").rename(tmp_path / "away")
    with pytest.raises(IngestError, match=r"cannot read file:.*was it moved or removed"):
        entities(lake)
    (tmp_path / "away").rename(tmp_path / "drop")
    (tmp_path / "drop" / "1.png").unlink()
    assert entities(lake).counts == {"seen": 2, "stored": 1, "duplicate": 0, "rejected": 1}
    assert entities(lake).counts == {"seen": 1, "stored": 0, "duplicate": 0, "rejected": 1}
    put(tmp_path / "drop", "1.png", png(1))
    assert entities(lake).counts == {"seen": 1, "stored": 1, "duplicate": 0, "rejected": 0}
    assert judgements(lake) == [("unreadable_now", None)]


def test_what_was_rejected_is_told_by_rule_and_that_nothing_could_be_taken(lake, tmp_path):
    for number in range(6):
        put(tmp_path / "drop", f"{number}.wav", wav()[: -1 - number])
    land(lake, source(tmp_path / "drop"))
    (note,) = entities(lake).notes
    assert (note.rule, note.count) == ("truncated", 6)
    assert note.example.startswith("nothing could be taken; the recording is cut off")


def test_files_of_no_kind_are_entities_with_their_bytes_and_told(lake, tmp_path):
    drop = tmp_path / "drop"
    others = {"notes.note": b"\0hello", "paper.pdf": b"%PDF-1.7 and more", "noise": bytes(range(256)) * 20,
              "old.jxl": b"\xff\x0a" + bytes(40)}
    for name, data in others.items():
        put(drop, name, data)
    put(drop, "a.png", png(1))
    put(drop, "page.jpg", b"<html><body>404</body></html>")
    put(drop, "empty", b"")
    land(lake, source(drop))
    receipt = entities(lake)
    assert receipt.counts == {"seen": 7, "stored": 5, "duplicate": 0, "rejected": 2}
    assert rejected(lake) == {"page.jpg": "extension_mismatch", "empty": "empty"}
    told = {note.rule: (note.count, note.example) for note in receipt.notes}
    assert told["unknown_media"] == (4, "taken as bytes, application/octet-stream: no kind of media knows them (noise)")
    rows = fetch(lake, "select entity_id, media_type from silver.entities")
    assert {row["entity_id"]: row["media_type"] for row in rows} == {
        **{sha(data): "application/octet-stream" for data in others.values()}, sha(png(1)): "image/png",
    }
    name = sha(others["notes.note"])
    assert read_entity(lake.root, f"objects/{name[:2]}/{name}#{name}") == others["notes.note"]


def test_what_was_once_rejected_for_being_no_picture_becomes_an_entity(lake, tmp_path, monkeypatch):
    put(tmp_path / "drop", "a.wav", wav())
    land(lake, source(tmp_path / "drop"))
    with monkeypatch.context() as older:
        of_then = replace(IMAGE, probe=refuse, claims=lambda name: "image/any")
        older.setattr(registry, "media_kinds", lambda: (of_then,))
        assert entities(lake).counts["rejected"] == 1
    assert judgements(lake) == [("unsupported_media", "probe 2")]
    assert entities(lake).counts == {"seen": 1, "stored": 1, "duplicate": 0, "rejected": 0}


@pytest.mark.parametrize("mode", ["copy", "link"])
def test_a_file_of_no_kind_may_be_larger_than_any_kind_allows(tmp_path, mode):
    put(tmp_path / "drop", "noise", bytes(range(256)) * 40)
    put(tmp_path / "drop", "a.wav", wav(9000))
    with small_lake(tmp_path / "lake", "images.max_bytes=400", "audio.max_bytes=8000") as lake:
        land(lake, source(tmp_path / "drop", mode=mode))
        assert entities(lake).counts == {"seen": 2, "stored": 1, "duplicate": 0, "rejected": 1}
        assert judgements(lake) == [("too_large", "audio probe 2, max_bytes 8000")]


@pytest.mark.parametrize(
    ("picture", "pixel_type"),
    [(np.zeros((3, 4), np.uint8), "uint8"), (np.zeros((3, 4), bool), "uint8"), (np.zeros((3, 4), np.uint16), "uint16"),
     (np.zeros((3, 4), np.int32), "int32"), (np.zeros((3, 4), np.float32), "float32")],
)
def test_an_entity_says_what_its_pixels_are(lake, tmp_path, picture, pixel_type):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "TIFF")
    put(tmp_path / "drop", "a.tif", buffer.getvalue())
    land(lake, source(tmp_path / "drop"))
    entities(lake)
    assert fetch(lake, "select pixel_type from entities") == [{"pixel_type": pixel_type}]
