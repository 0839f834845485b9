"""The order of row groups and of the rows in them: a function of seed and epoch."""

from __future__ import annotations

import numpy as np
import pytest

from loaders.petastorm.rowgroups.order import Unit, equal_shares, rows_in_order, units_in_order


def test_the_order_is_the_one_that_was_given_before():
    assert units_in_order(8, seed=7, epoch=0, is_shuffled=True).tolist() == GROUPS_OF_EPOCH_0
    assert units_in_order(8, seed=7, epoch=1, is_shuffled=True).tolist() == GROUPS_OF_EPOCH_1
    rows = rows_in_order(Unit(3), 8, seed=7, epoch=0, is_shuffled=True)
    assert rows.tolist() == ROWS_OF_GROUP_3


def test_zero_is_a_seed_like_any_other():
    orders = {seed: tuple(units_in_order(50, seed=seed, epoch=0, is_shuffled=True).tolist()) for seed in (0, 1, 2)}
    assert len(set(orders.values())) == 3
    assert orders[0] == tuple(units_in_order(50, seed=0, epoch=0, is_shuffled=True).tolist())


def test_each_row_group_and_each_epoch_has_an_order_of_its_own():
    orders = {
        tuple(rows_in_order(Unit(ordinal), 40, seed=1, epoch=epoch, is_shuffled=True).tolist())
        for ordinal in range(5) for epoch in range(4)
    }  # fmt: skip
    assert len(orders) == 20


def test_unshuffled_is_the_stored_order():
    assert units_in_order(4, seed=7, epoch=3, is_shuffled=False).tolist() == [0, 1, 2, 3]
    assert rows_in_order(Unit(0), 4, seed=7, epoch=3, is_shuffled=False).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("is_shuffled", [False, True])
@pytest.mark.parametrize(("rows", "parts"), [(10, 3), (10, 10), (3, 7), (1, 2), (0, 2), (100, 7)])
def test_the_parts_of_a_row_group_hold_each_row_once(rows, parts, is_shuffled):
    found = [
        rows_in_order(Unit(5, part, parts), rows, seed=1, epoch=2, is_shuffled=is_shuffled) for part in range(parts)
    ]
    assert sorted(np.concatenate(found).tolist()) == list(range(rows))


def test_parts_are_cut_where_petastorm_cuts_them():
    # np.floor(np.arange(10) / (10 / 3)) = 0 0 0 0 1 1 1 2 2 2
    parts = [rows_in_order(Unit(0, part, 3), 10, seed=0, epoch=0, is_shuffled=False).tolist() for part in range(3)]
    assert parts == [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]


@pytest.mark.parametrize("rows_by_group", [[10, 10, 10], [1, 20, 3], [0, 5, 0, 6], [7]])
@pytest.mark.parametrize("shards", [1, 2, 3, 5])
def test_equal_shares_are_equal_and_hold_no_row_twice(rows_by_group, shards):
    shares = [equal_shares(rows_by_group, shard=shard, shards=shards) for shard in range(shards)]
    rows = [[(unit.ordinal, row) for unit in share for row in range(unit.first, unit.last)] for share in shares]
    assert [len(each) for each in rows] == [sum(rows_by_group) // shards] * shards
    whole = [row for each in rows for row in each]
    assert len(set(whole)) == len(whole)


GROUPS_OF_EPOCH_0 = [7, 4, 5, 6, 3, 0, 1, 2]
GROUPS_OF_EPOCH_1 = [3, 0, 5, 4, 2, 1, 6, 7]
ROWS_OF_GROUP_3 = [5, 6, 3, 1, 4, 7, 0, 2]
