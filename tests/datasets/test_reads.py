"""What a recipe reads: only that enters its version id."""

from __future__ import annotations

import pytest

from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.datasets.versions.reads import dimensions_read, tables_read
from lakehouse.datasets.versions.version import contracts
from lakehouse.extractors import registry
from lakehouse.extractors.extractor import Dimension, Extractor
from lakehouse.views import registry as views

WIDE = "select entity_id from entities_wide"


def recipe(sql: str = "select entity_id from entities", **more):
    return parse_recipe({"name": "zoo", "select": {"sql": sql}} | more, where="zoo.toml")


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("select entity_id from entities", set()),
        (f"{WIDE} where media_type = 'image/png'", set()),
        (f'{WIDE} where width = 8 and "Height" > 3', {"width", "height"}),
        ("with w as (select entity_id, brightness b from entities_wide) select entity_id from w", {"brightness"}),
        ("select w.entity_id from entities e join entities_wide w using (entity_id) order by w.mode", {"mode"}),
        ("select entity_id from entities_wide e where e.width = (select count(*) from labels)", {"width"}),
        ("select entity_id from labels join entities on subject_id = entity_id where label = 'width'", set()),
    ],
)
def test_dimensions_are_read_by_the_names_in_the_sql(sql, names):
    found = dimensions_read(recipe(sql))
    assert (found.names, found.all) == (names, False)
    assert ("silver.dimensions" in tables_read(recipe(sql))) == bool(names)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from entities_wide",
        "from entities_wide",
        "select e.* from entities_wide e",
        "select * exclude (width) from entities_wide",
        "select columns('wid.*'), entity_id from entities_wide",
        "select #1 as entity_id from entities_wide",
        "select entity_id from entities_wide e where struct_extract(e, 'width') = 8",
        "select entity_id from (select a as entity_id, b from entities_wide as t(a, b)) where b = 8",
        "select entity_id from entities natural join entities_wide",
        "select entity_id from current_dimensions",
        "select entity_id from silver.dimensions where dimension = 'width'",
    ],
)
def test_what_reads_columns_without_naming_them_reads_all_dimensions(sql):
    assert dimensions_read(recipe(sql)).all
    assert "silver.dimensions" in tables_read(recipe(sql))


def test_strata_read_the_dimensions_that_they_count_by():
    assert dimensions_read(recipe(strata={"by": ["origin", "mode"]})).names == {"mode"}
    assert "silver.dimensions" not in tables_read(recipe(strata={"by": ["origin"]}))


def test_only_extractors_that_are_read_are_contracts():
    assert contracts(recipe()).keys() == {"build"}
    assert contracts(recipe(f"{WIDE} where width = 8")).keys() == {"build", "extractor:image_header"}
    assert contracts(recipe(f"{WIDE} where width = brightness")).keys() == {
        "build",
        "extractor:image_header",
        "extractor:image_pixels",
    }
    everything = recipe("select * from entities_wide")
    assert contracts(everything, measured=["image_pixels", "gone"]).keys() == {"build", "extractor:image_pixels"}


@pytest.fixture
def installed(monkeypatch):
    """Install a package with an extractor, as an entry point would."""

    def install() -> None:
        found = Extractor("blur_meter", 1, (Dimension("blur", "number", "Blur."),), ("image/",), print)
        known = registry._registered()
        monkeypatch.setattr(registry, "_registered", lambda: (*known, found))
        views.view_texts.cache_clear()
        views.wide_kinds.cache_clear()

    yield install
    views.view_texts.cache_clear()
    views.wide_kinds.cache_clear()


@pytest.mark.parametrize(
    "sql", ["select entity_id from entities", f"{WIDE} where width = 8", "select entity_id, * from entities_wide"]
)
def test_an_installed_extractor_that_measured_nothing_here_changes_no_contract(sql, installed):
    before = contracts(recipe(sql), measured=["image_header"])
    installed()
    assert contracts(recipe(sql), measured=["image_header"]) == before
    assert "extractor:blur_meter" in contracts(recipe(f"{WIDE} where blur < 3"))
