"""Pools are names with a number of workers; the reader has the workers."""

from __future__ import annotations

import pickle

import pytest

from loaders.petastorm.workers_pool import EmptyResultError, TimeoutWaitingForResultError
from loaders.petastorm.workers_pool.dummy_pool import DummyPool
from loaders.petastorm.workers_pool.process_pool import ProcessPool
from loaders.petastorm.workers_pool.thread_pool import ThreadPool


def test_pools_take_petastorms_arguments():
    pools = [ThreadPool(3, 50, False, shuffle_rows=True, seed=1), ProcessPool(2, None, zmq_copy_buffers=False)]
    assert [pool.workers_count for pool in [*pools, DummyPool(), DummyPool(8)]] == [3, 2, 1, 1]
    assert pickle.loads(pickle.dumps(pools)) == pools


@pytest.mark.parametrize("pool", [ThreadPool, ProcessPool])
@pytest.mark.parametrize("workers", [0, -1, "4", 1.5, True])
def test_a_pool_needs_workers(pool, workers):
    with pytest.raises(ValueError, match="workers_count must be a positive integer"):
        pool(workers)


def test_errors_of_pools_are_runtime_errors():
    assert issubclass(EmptyResultError, RuntimeError)
    assert issubclass(TimeoutWaitingForResultError, RuntimeError)
