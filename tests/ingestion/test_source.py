"""What a source may say about its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.errors import ConfigError
from lakehouse.ingestion.sources.source import Source, source_from
from lakehouse.typed import read_toml

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_example_shows_every_key():
    (record,) = read_toml(REPOSITORY / "conf" / "sources" / "example.toml")["sources"]
    source = source_from(record, where="example")
    assert set(record) == set(Source.__dataclass_fields__)
    assert source.include == ("*.jpg", "*.png")
    assert source.group_keys == {"site": "camera_id"}


def test_what_is_not_said_has_a_default():
    source = source_from({"name": "a", "folder": "b"}, where="x")
    assert source == Source(name="a", folder="b")
    assert (source.drop, source.mode, source.origin, source.sidecar) == ("main", "copy", "real", "")


@pytest.mark.parametrize(
    ("record", "parts"),
    [
        ({"folder": "b"}, ["here", "`name` is missing"]),
        ({"name": "a"}, ["here", "`folder` is missing"]),
        ({"name": "", "folder": "b"}, ["needs a name"]),
        ({"name": "a", "folder": "b", "licnce": "x"}, ["here", "`licnce`", "`licence`"]),
        ({"name": "a", "folder": "b", "mode": "lnk"}, ["source a", "`lnk`", "`link`"]),
        ({"name": "a", "folder": "b", "origin": "fake"}, ["source a", "real, synthetic or augmented", "fake"]),
        ({"name": "a", "folder": 3}, ["here", "folder: expected str", "3"]),
        ({"name": "a", "folder": "b", "include": "*.png"}, ["here", "include: expected a list", "'*.png'"]),
        ({"name": "a", "folder": "b", "exclude": [1]}, ["here", "exclude: expected a list"]),
        ({"name": "a", "folder": "b", "group_keys": ["x"]}, ["here", "group_keys: expected a table"]),
        ({"name": "a", "folder": "b", "group_keys": {"x": 1}}, ["here", "group_keys.x: expected str"]),
    ],
)
def test_a_mistake_says_where_and_what_was_expected(record, parts):
    with pytest.raises(ConfigError) as caught:
        source_from(record, where="here")
    assert [part for part in parts if part not in str(caught.value)] == []
