"""Selectors choose row groups by indexes, and indexers collect what Petastorm's collect."""

from __future__ import annotations

import numpy as np
import pytest

from loaders.petastorm.etl import RowGroupIndexerBase
from loaders.petastorm.etl.rowgroup_indexers import FieldNotNullIndexer, SingleFieldIndexer
from loaders.petastorm.selectors import (
    IntersectIndexSelector,
    RowGroupSelectorBase,
    SingleIndexSelector,
    UnionIndexSelector,
)


def indexed(indexer, *groups):
    for ordinal, values in enumerate(groups):
        indexer.build_index([{indexer.column_names[0]: value} for value in values], ordinal)
    return indexer


@pytest.fixture
def indexes():
    color = indexed(SingleFieldIndexer("color", "c"), ["red", "blue"], ["blue", None], ["green"])
    tags = indexed(SingleFieldIndexer("tags", "t"), [np.array(["x", "y"])], [np.array(["y"])], [np.array([], "U")])
    label = indexed(FieldNotNullIndexer("label", "l"), [None], [None, 1], [2])
    return {index.index_name: index for index in (color, tags, label)}


def test_values_are_found_in_the_row_groups_that_hold_them(indexes):
    assert indexes["color"].indexed_values == ["red", "blue", "green"]
    assert indexes["color"].get_row_group_indexes(np.str_("blue")) == {0, 1}
    assert indexes["color"].get_row_group_indexes("pink") == set()
    assert indexes["color"].indexed_values == ["red", "blue", "green"]  # looking for one adds none
    assert {tag: indexes["tags"].get_row_group_indexes(tag) for tag in "xy"} == {"x": {0}, "y": {0, 1}}
    assert indexes["label"].get_row_group_indexes() == indexes["label"].get_row_group_indexes("any") == {1, 2}
    assert indexes["label"].indexed_values == ["Field is Not Null"]


def test_selectors_join_and_cut(indexes):
    blue, green = SingleIndexSelector("color", ["blue"]), SingleIndexSelector("color", ["green", "pink"])
    x, there = SingleIndexSelector("tags", ["x"]), SingleIndexSelector("label", ["whatever"])
    assert blue.select_row_groups(indexes) == {0, 1}
    assert SingleIndexSelector("color", []).select_row_groups(indexes) == set()
    assert UnionIndexSelector([x, green]).select_row_groups(indexes) == {0, 2}
    assert IntersectIndexSelector([blue, there]).select_row_groups(indexes) == {1}
    nested = IntersectIndexSelector([UnionIndexSelector([blue, green]), there])
    assert nested.select_row_groups(indexes) == {1, 2}
    assert nested.get_index_names() == ["color", "color", "label"]
    assert blue.select_row_groups(indexes) == {0, 1}  # the indexes are as they were


def test_indexers_of_one_field_add_up(indexes):
    other = SingleFieldIndexer.restored("color", "c", {"blue": [7], "grey": [8]})
    assert indexes["color"] + other is indexes["color"]
    assert indexes["color"].get_row_group_indexes("blue") == {0, 1, 7}
    assert indexes["color"].get_row_group_indexes("grey") == {8}
    assert (indexes["label"] + FieldNotNullIndexer.restored("label", "l", [9])).get_row_group_indexes() == {1, 2, 9}


def test_what_does_not_fit_is_refused(indexes):
    for one, another in (("color", "label"), ("label", "color")):
        with pytest.raises(TypeError, match="same indexer type"):
            indexes[one] + indexes[another]
    with pytest.raises(ValueError, match="index the same fields: 'c' and 't'"):
        indexes["color"] + indexes["tags"]
    with pytest.raises(ValueError, match="index the same fields"):
        indexes["label"] + FieldNotNullIndexer("label", "m")
    for indexer in (SingleFieldIndexer("n", "f"), FieldNotNullIndexer("n", "f")):
        with pytest.raises(ValueError, match="Cannot build index for empty rows, column 'f'"):
            indexer.build_index([], 0)
    with pytest.raises(TypeError, match="field 'f' cannot be indexed"):
        indexed(SingleFieldIndexer("n", "f"), [np.zeros((2, 2))])
    with pytest.raises(ValueError, match="at least one selector"):
        IntersectIndexSelector([])
    for abstract in (RowGroupSelectorBase, RowGroupIndexerBase):
        with pytest.raises(TypeError):
            abstract()
