"""The step measures what is missing and nothing else; a failing extractor costs its own pair."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from lakehouse.care.erase import erase
from lakehouse.dimensions.step import dimensions as measure_dimensions
from lakehouse.errors import ConfigError, IngestError
from lakehouse.extractors.extractor import Dimension
from lakehouse.extractors.registry import extractors
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.query import fetch
from tests.corpus import encoded, picture
from tests.dimensions.samples import ASPECT, ASPECT_RATIO, aspect, boom, extractor


@pytest.fixture
def drop(tmp_path):
    """Three images, 40 x 30, and their folder."""
    rng = np.random.default_rng(9)
    folder = tmp_path / "drop"
    folder.mkdir()
    for name, kind in (("a.png", "PNG"), ("b.jpg", "JPEG"), ("c.gif", "GIF")):
        (folder / name).write_bytes(encoded(picture(rng), kind))
    return folder


def bring_in(lake, folder, **options):
    land(lake, Source(name="test", folder=str(folder), **options))
    return entities(lake)


def keys(lake):
    """Return {(extractor, version): number of rows}."""
    rows = fetch(lake, "select extractor, extractor_version as v, count(*) as n from silver.dimensions group by all")
    return {(row["extractor"], row["v"]): row["n"] for row in rows}


def rejected(lake):
    return fetch(lake, "select subject, rule, reason, location from silver.rejected order by all")


def test_every_extractor_measures_every_image(lake, drop):
    bring_in(lake, drop)

    receipt = measure_dimensions(lake)

    assert receipt.counts == {"entities": 3, "seen": 12, "measured": 12, "rejected": 0}
    assert keys(lake) == {
        ("image_header", 1): 33, ("image_pixels", 1): 18, ("image_likeness", 1): 6, ("image_noise", 1): 3,
    }  # fmt: skip


def test_the_wide_view_has_one_row_an_entity_and_one_typed_column_a_dimension(lake, drop):
    bring_in(lake, drop)
    measure_dimensions(lake)

    rows = fetch(lake, "select format, width, height, is_animated, brightness, dhash, exif_orientation "
                       "from entities_wide order by format")

    assert [(row["format"], row["width"], row["height"], row["is_animated"]) for row in rows] == [
        ("GIF", 40, 30, False), ("JPEG", 40, 30, False), ("PNG", 40, 30, False),
    ]
    assert all(type(row["width"]) is int and 0 < row["brightness"] < 1 and len(row["dhash"]) == 16 for row in rows)
    assert [row["exif_orientation"] for row in rows] == [None, None, None]


def test_a_second_run_measures_nothing_and_reads_nothing(lake, drop):
    bring_in(lake, drop)
    measure_dimensions(lake)
    shutil.rmtree(lake.root / "objects")

    receipt = measure_dimensions(lake)

    assert receipt.counts == {"entities": 0, "seen": 0, "measured": 0, "rejected": 0}
    assert not receipt.changed


def test_a_new_image_is_measured_alone(lake, drop):
    bring_in(lake, drop)
    measure_dimensions(lake)
    (drop / "d.png").write_bytes(encoded(picture(np.random.default_rng(1)), "PNG"))
    bring_in(lake, drop)

    assert measure_dimensions(lake).counts == {"entities": 1, "seen": 4, "measured": 4, "rejected": 0}


def test_only_what_came_since_the_last_run_is_looked_at(lake, drop, monkeypatch):
    bring_in(lake, drop)
    measure_dimensions(lake)
    asked = []
    scan = type(lake.engine).scan
    monkeypatch.setattr(
        type(lake.engine), "scan",
        lambda self, path, version, *, since=None: (
            asked.append((path.name, since)) or scan(self, path, version, since=since)
        ),
    )  # fmt: skip
    (drop / "d.png").write_bytes(encoded(picture(np.random.default_rng(1)), "PNG"))
    bring_in(lake, drop)
    asked.clear()

    measure_dimensions(lake)

    assert [name for name, since in asked if since is not None] == ["dimensions", "rejected", "entities"]
    assert ("entities", None) not in asked
    assert keys(lake) == {
        ("image_header", 1): 44, ("image_pixels", 1): 24, ("image_likeness", 1): 8, ("image_noise", 1): 4,
    }  # fmt: skip


def test_values_that_the_lake_lost_since_the_last_run_are_measured_again(lake, drop):
    bring_in(lake, drop)
    before = {each: (lake.root / each).read_bytes() for each in ("_heads/silver.dimensions.json",)}
    measure_dimensions(lake)
    folder = lake.root / "tables" / "silver" / "dimensions"
    log = folder / "_delta_log"
    sorted(log.glob("*.json"))[-1].unlink()
    for path, data in before.items():
        (lake.root / path).write_bytes(data)
    (drop / "d.png").write_bytes(encoded(picture(np.random.default_rng(1)), "PNG"))
    bring_in(lake, drop)
    lake.verified.clear()

    receipt = measure_dimensions(lake)

    assert receipt.counts == {"entities": 4, "seen": 16, "measured": 16, "rejected": 0}
    assert keys(lake) == {
        ("image_header", 1): 44, ("image_pixels", 1): 24, ("image_likeness", 1): 8, ("image_noise", 1): 4,
    }  # fmt: skip


def test_a_new_extractor_runs_alone_over_what_is_there(lake, drop):
    bring_in(lake, drop)
    measure_dimensions(lake)

    receipt = measure_dimensions(lake, extractors=[*extractors(), ASPECT_RATIO])

    assert receipt.counts == {"entities": 3, "seen": 3, "measured": 3, "rejected": 0}
    assert keys(lake)["aspect_ratio", 1] == 3
    values = fetch(lake, "select number from silver.dimensions where dimension = 'aspect'")
    assert [row["number"] for row in values] == [40 / 30] * 3


def test_a_raised_version_measures_anew_beside_the_old_values(lake, drop):
    bring_in(lake, drop)
    measure_dimensions(lake, extractors=[ASPECT_RATIO])
    newer = extractor(aspect, name="aspect_ratio", version=2, dimensions=(ASPECT,), media_types=("image/",))

    measure_dimensions(lake, extractors=[newer])

    assert keys(lake) == {("aspect_ratio", 1): 3, ("aspect_ratio", 2): 3}
    current = fetch(lake, "select extractor_version as v from current_dimensions where dimension = 'aspect'")
    assert [row["v"] for row in current] == [2, 2, 2]


def test_an_extractor_sees_only_its_media_types(lake, drop):
    bring_in(lake, drop)

    receipt = measure_dimensions(lake, extractors=[extractor(media_types=("image/gif", "image/g", "audio/"))])

    assert receipt.counts == {"entities": 1, "seen": 1, "measured": 1, "rejected": 0}
    assert fetch(lake, "select number from silver.dimensions")[0]["number"] == ord("G")


def test_an_extractor_that_fails_is_rejected_rows_and_the_others_go_on(lake, drop):
    bring_in(lake, drop)
    broken = extractor(boom, name="broken", dimensions=(Dimension("luck", "number", "Luck."),))

    receipt = measure_dimensions(lake, extractors=[broken, ASPECT_RATIO])

    assert receipt.counts == {"entities": 3, "seen": 6, "measured": 3, "rejected": 3}
    assert keys(lake) == {("aspect_ratio", 1): 3}
    assert {(row["rule"], row["reason"], row["location"]) for row in rejected(lake)} == {(
        "extractor_error",
        "extractor broken@1: ZeroDivisionError: no luck with <object object at 0x...> and a second line",
        "broken@1",
    )}
    known = {row["entity_id"] for row in fetch(lake, "select entity_id from silver.entities")}
    assert {row["subject"] for row in rejected(lake)} == known


def test_what_failed_is_not_tried_again_until_its_version_is_raised(lake, drop):
    bring_in(lake, drop)
    luck = (Dimension("luck", "number", "Luck."),)
    measure_dimensions(lake, extractors=[extractor(boom, name="broken", dimensions=luck)])

    again = measure_dimensions(lake, extractors=[extractor(boom, name="broken", dimensions=luck)])
    raised = measure_dimensions(lake, extractors=[extractor(boom, name="broken", version=2, dimensions=luck)])

    assert (again.counts["seen"], again.rows_new) == (0, 0)
    assert (raised.counts["seen"], raised.counts["rejected"]) == (3, 3)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"aspect": float("nan")}, "ValueError: aspect is nan; return None where there is no value"),
        ({"aspect": "wide"}, "TypeError: aspect is a str, expected number"),
        ({"shape": 1}, "ValueError: returned shape, which it does not declare"),
        (None, "TypeError: returned NoneType, expected a mapping from dimension to value"),
    ],
)
def test_answers_that_cannot_be_kept_are_rejected(lake, drop, answer, reason):
    bring_in(lake, drop)
    wrong = extractor(lambda view: answer, name="wrong", dimensions=(ASPECT,))

    assert measure_dimensions(lake, extractors=[wrong]).counts["rejected"] == 3
    assert {row["reason"] for row in rejected(lake)} == {f"extractor wrong@1: {reason}"}
    assert keys(lake) == {}


def test_a_missing_object_is_rejected_and_tried_again_when_it_is_back(lake, drop):
    bring_in(lake, drop)
    shutil.move(lake.root / "objects", lake.root / "away")

    lost = measure_dimensions(lake)
    still_lost = measure_dimensions(lake)
    shutil.move(lake.root / "away", lake.root / "objects")
    back = measure_dimensions(lake)

    assert lost.counts == {"entities": 3, "seen": 12, "measured": 0, "rejected": 12}
    assert (still_lost.counts["rejected"], still_lost.rows_new) == (12, 0), "the same rows, not more of them"
    assert back.counts == {"entities": 3, "seen": 12, "measured": 12, "rejected": 0}
    assert {row["rule"] for row in rejected(lake)} == {"unreadable"}


def test_a_linked_file_that_changed_is_not_measured_as_what_it_was(lake, drop):
    bring_in(lake, drop, mode="link")
    (drop / "a.png").write_bytes(encoded(picture(np.random.default_rng(77)), "PNG"))

    receipt = measure_dimensions(lake)

    assert receipt.counts == {"entities": 3, "seen": 12, "measured": 8, "rejected": 4}
    assert [(note.rule, note.count) for note in receipt.notes] == [("unreadable", 4)]
    assert all("not those that were landed" in row["reason"] for row in rejected(lake))


def test_a_folder_of_linked_files_that_is_away_is_an_error_and_not_a_rejection_of_each(lake, drop):
    bring_in(lake, drop, mode="link")
    away = drop.rename(drop.with_name("away"))
    with pytest.raises(IngestError, match=r"1 of 1 folders with linked files are away, the first is file://.*/drop;"):
        measure_dimensions(lake)
    assert fetch(lake, "select * from silver.rejected") == []
    away.rename(drop)
    assert measure_dimensions(lake).counts["rejected"] == 0


def test_an_installed_package_measures_without_being_asked_and_widens_the_view(lake, drop, install):
    install(shape="tests.dimensions.samples:ASPECT_RATIO")
    bring_in(lake, drop)

    assert measure_dimensions(lake).counts["measured"] == 15
    assert [row["aspect"] for row in fetch(lake, "select aspect from entities_wide")] == [40 / 30] * 3


def test_a_package_that_is_gone_leaves_its_values_and_no_column(lake, drop, install):
    bring_in(lake, drop)
    measure_dimensions(lake, extractors=[ASPECT_RATIO])

    assert measure_dimensions(lake).counts["seen"] == 12
    assert "aspect" not in fetch(lake, "select * from entities_wide")[0]
    assert keys(lake)["aspect_ratio", 1] == 3


def test_clashing_extractors_are_refused_before_anything_runs(lake):
    with pytest.raises(ConfigError, match="both measure `aspect`"):
        measure_dimensions(lake, extractors=[ASPECT_RATIO, extractor(aspect, name="other", dimensions=(ASPECT,))])


def test_an_empty_lake_has_nothing_to_measure(lake):
    assert measure_dimensions(lake).counts == {"entities": 0, "seen": 0, "measured": 0, "rejected": 0}


def test_another_day_gives_the_same_content(lake, drop, tmp_path, clock):
    from tests.making import small_lake

    bring_in(lake, drop)
    first = measure_dimensions(lake).writes[0].digest
    clock.forward(days=3)

    with small_lake(tmp_path / "second", clock=clock) as second:
        bring_in(second, drop)
        assert measure_dimensions(second).writes[0].digest == first


def test_what_is_erased_while_it_is_measured_gets_no_row(lake, drop, monkeypatch):
    bring_in(lake, drop)
    gone = min(row["entity_id"] for row in fetch(lake, "select entity_id from silver.entities"))
    map_batches = type(lake.engine).map_batches

    def erased_meanwhile(self, *given, **named):
        found = lake.engine.from_arrow(lake.engine.arrow(map_batches(self, *given, **named)))
        monkeypatch.undo()
        erase(lake, entities=[gone], reason="asked")
        return found

    monkeypatch.setattr(type(lake.engine), "map_batches", erased_meanwhile)
    with pytest.raises(IngestError, match="erased meanwhile"):
        measure_dimensions(lake)
    assert measure_dimensions(lake).counts["entities"] == 2
    assert gone not in {row["entity_id"] for row in fetch(lake, "select entity_id from silver.dimensions")}
