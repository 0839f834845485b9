"""What looks like a mistake when a folder is landed is told: nothing there, nothing matched, files gone, two names."""

from __future__ import annotations

import pytest

from lakehouse.errors import ConfigError
from lakehouse.ingestion.land import land
from tests.ingestion.files import landed, png, put, source


def notes(receipt):
    return {note.rule: (note.count, note.example) for note in receipt.notes}


@pytest.fixture
def drop(tmp_path):
    for number in range(3):
        put(tmp_path / "drop", f"{number}.png", png(number))
    put(tmp_path / "drop", "labels.csv", b"a,b\n")
    return tmp_path / "drop"


def test_patterns_that_match_nothing_are_an_error_with_examples_of_what_there_is(lake, drop):
    with pytest.raises(ConfigError, match=r"none of the 4 files .* include = \['\*.jpeg'\].*for example: 0.png, 1.png"):
        land(lake, source(drop, include=("*.jpeg",)))
    with pytest.raises(ConfigError, match=r"exclude = \['\*.csv', .*for example: 0.png"):
        land(lake, source(drop, include=("labels*",)))
    assert landed(lake) == []


def test_one_pattern_of_several_that_matches_nothing_is_noted(lake, drop):
    receipt = land(lake, source(drop, include=("*.png", "*.jpeg")))
    assert notes(receipt) == {
        "pattern_without_files": (1, "no file matches include pattern *.jpeg; left out were, for example: labels.csv")
    }
    assert notes(land(lake, source(drop, include=("*.png", "*.jpeg")))) == notes(receipt)
    assert notes(land(lake, source(drop, include=("*.png",)))) == {}


def test_a_folder_without_files_is_noted(lake, tmp_path):
    (tmp_path / "empty").mkdir()
    receipt = land(lake, source(tmp_path / "empty"))
    assert notes(receipt) == {"nothing_to_land": (1, f"{tmp_path / 'empty'}: it is empty")}
    put(tmp_path / "empty", "README.md", b"# photos")
    _, told = notes(land(lake, source(tmp_path / "empty")))["nothing_to_land"]
    assert told.endswith(
        "exclude leaves out all 1, for example README.md; name the ending in include to land such files"
    )


def test_files_that_are_gone_from_the_folder_are_counted_and_nothing_is_deleted(lake, drop):
    land(lake, source(drop))
    (drop / "1.png").unlink()
    for _ in range(2):
        receipt = land(lake, source(drop))
        assert receipt.counts["gone"] == 1
    put(drop, "9.png", png(9))
    receipt = land(lake, source(drop))
    assert receipt.counts == {"seen": 3, "stored": 1, "duplicate": 0, "refused": 0, "unchanged": 2, "gone": 1}
    assert notes(receipt) == {
        "gone": (1, f"1.png was landed from {drop} and is not there any more; such files stay in the lake")
    }
    assert len(landed(lake)) == 4
    put(drop, "1.png", png(1))
    assert "gone" not in land(lake, source(drop)).counts


def test_files_of_another_folder_of_the_source_or_left_out_by_a_pattern_are_not_gone(lake, drop, tmp_path):
    land(lake, source(drop))
    put(tmp_path / "drop2", "a.png", png(7))
    assert "gone" not in land(lake, source(tmp_path / "drop2")).counts
    assert "gone" not in land(lake, source(drop, include=("0.png",))).counts


def test_a_new_source_with_the_name_of_another_but_for_a_letter_is_noted_once(lake, drop, tmp_path):
    land(lake, source(drop))
    put(tmp_path / "new", "a.png", png(7))
    receipt = land(lake, source(tmp_path / "new", name="photo"))
    assert notes(receipt) == {"similar_source": (1, "source `photo` is new; was `photos` meant?")}
    put(tmp_path / "new", "b.png", png(8))
    assert notes(land(lake, source(tmp_path / "new", name="photo"))) == {}
    assert notes(land(lake, source(tmp_path / "new", name="scans"))).keys() == {"landed_as_another_source"}


def test_the_folder_of_a_source_landed_under_another_name_is_noted(lake, drop):
    land(lake, source(drop))
    count, told = notes(land(lake, source(drop, name="scans")))["landed_as_another_source"]
    assert count == 1
    assert "in the lake as source `photos` too" in told
