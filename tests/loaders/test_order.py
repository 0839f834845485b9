"""The order of samples is what ORDER.md says, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from loaders.errors import FormatError
from loaders.order import (
    EpochOrder,
    check_shape,
    default_lanes,
    permutation,
    random_words,
    sample_seeds,
    stream_key,
)

F = "0123456789abcdef" * 4
GROUPS = (3, 4, 2, 4, 1)


def test_random_words_are_those_of_order_md():
    assert stream_key(F, 7, 0, "groups") == 0xA4F6DF5A7F25309A
    words = [int(word) for word in random_words(stream_key(F, 7, 0, "groups"), range(3))]
    assert words == [0xD602CACC7B1D5D9B, 0x3D5E6F0FA33A1CFE, 0x07583D4191AA8AC3]
    assert [int(word) for word in random_words(0, range(2))] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]
    assert permutation(stream_key(F, 7, 0, "groups"), 10).tolist() == [7, 4, 2, 5, 1, 6, 9, 8, 0, 3]


@pytest.mark.parametrize(
    ("seed", "epoch", "lanes", "window", "order"),
    [
        (7, 0, 2, 2, [8, 0, 13, 9, 7, 11, 6, 2, 4, 12, 3, 1, 5, 10]),
        (7, 1, 2, 2, [3, 1, 5, 10, 4, 2, 6, 9, 13, 12, 8, 0, 7, 11]),
        (7, 0, 4, 1, [13, 4, 1, 10, 8, 6, 2, 11, 7, 5, 9, 12, 3, 0]),
        (None, 0, 1, 1, list(range(14))),
        (None, 0, 2, 1, [0, 7, 1, 8, 2, 9, 3, 10, 4, 11, 5, 12, 6, 13]),
    ],
)
def test_orders_are_those_of_order_md(seed, epoch, lanes, window, order):
    assert EpochOrder(GROUPS, F, seed, epoch, lanes, window).sequence().tolist() == order


def test_seeds_of_samples_are_those_of_order_md():
    assert [int(seed) for seed in sample_seeds(F, 7, 0, [0, 1])] == [0xA09E44E3E5A5A384, 0x8BCB1B2886428297]


@pytest.mark.parametrize("lanes", [1, 2, 3, 8, 40])
@pytest.mark.parametrize("window", [1, 3, 99])
@pytest.mark.parametrize("groups", [(1,), (5, 5, 5), tuple(range(1, 12))])
def test_every_row_has_exactly_one_place(groups, lanes, window):
    order = EpochOrder(groups, F, 1, 0, lanes, window)
    assert sorted(order.sequence().tolist()) == list(range(sum(groups)))
    for lane in range(lanes):
        windows = order.windows(lane)
        assert sum(each.rows for each in windows) == order.lane_rows(lane)
        assert all(len(each.pieces) <= window for each in windows)
        assert [each.start for each in windows] == np.cumsum([0, *(each.rows for each in windows)])[:-1].tolist()


def test_another_seed_epoch_or_fingerprint_gives_another_order():
    orders = {
        tuple(EpochOrder((10,) * 10, fingerprint, seed, epoch, 4, 2).sequence())
        for fingerprint in (F, F[::-1])
        for seed in (1, 2)
        for epoch in (0, 1)
    }
    assert len(orders) == 8


def test_neighbours_in_the_order_are_rarely_neighbours_in_the_files():
    order = EpochOrder((100,) * 64, F, 5, 0, 8, 4).sequence()
    near = np.abs(np.diff(order)) <= 64  # 1% of the rows; 2% is what chance gives
    assert near.mean() < 0.03


def test_lanes_that_ranks_or_batches_cannot_share_are_refused():
    check_shape(lanes=8, world=4, global_batch=16)
    for lanes, world, batch in ((8, 3, 24), (8, 4, 12), (0, 1, 4)):
        with pytest.raises(FormatError, match="lanes cannot be shared"):
            check_shape(lanes=lanes, world=world, global_batch=batch)


def test_default_lanes_are_the_most_that_fit():
    assert default_lanes(world=1, global_batch=64, limit=32) == 32
    assert default_lanes(world=1, global_batch=60, limit=32) == 30
    assert default_lanes(world=3, global_batch=60, limit=8) == 6
    assert default_lanes(world=4, global_batch=64, limit=1) == 4
