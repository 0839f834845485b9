"""Views that are kept by name lie with a person's settings, one file for each lake."""

from __future__ import annotations

import pytest

from lakehouse.errors import ConfigError, PetrelError
from lakehouse.viewing.saved import SavedViews


def test_views_are_kept_replaced_and_forgotten_for_one_lake_alone(tmp_path):
    views, other = SavedViews("one", tmp_path / "views"), SavedViews("other", tmp_path / "views")
    assert views.answer({}) == []
    views.answer({"keep": "dark ones", "address": "#/grid?sql=1"})
    views.answer({"keep": "big", "address": "#/grid?sql=2"})
    assert views.answer({"keep": "dark ones", "address": "#/grid?sql=3"}) == [
        {"name": "big", "address": "#/grid?sql=2"}, {"name": "dark ones", "address": "#/grid?sql=3"},
    ]  # fmt: skip
    assert other.answer({}) == []
    assert [each["name"] for each in SavedViews("one", tmp_path / "views").answer({"forget": "big"})] == ["dark ones"]


@pytest.mark.parametrize("address", ["javascript:alert(1)", "https://example.org/#/", "", None, "#/" + "x" * 100_000])
def test_an_address_that_leads_elsewhere_is_refused(tmp_path, address):
    views = SavedViews("one", tmp_path)
    with pytest.raises(ConfigError, match="begins with #/"):
        views.answer({"keep": "x", "address": address})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["[]", "{", '{"x": "javascript:1"}', '{"x": 7}'])
def test_a_file_that_holds_something_else_is_told_and_kept(tmp_path, text):
    views = SavedViews("one", tmp_path)
    views.answer({"keep": "x", "address": "#/grid"})
    (file,) = tmp_path.iterdir()
    file.write_text(text)
    for asked in ({}, {"keep": "y", "address": "#/grid"}):
        with pytest.raises(PetrelError, match=file.name):
            views.answer(asked)
    assert file.read_text() == text
