"""The number of threads follows what they get done."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from loaders import ReadOptions, Shuffle, make_reader, reader
from loaders.engine.tuning import Observed, choose

BUSY = Observed(workers=2, most=4, worked_s=10.0, cpu_s=9.8, transform_share=0.1, elapsed_s=5.0, waited_s=4.0)


@pytest.mark.parametrize(
    ("seen", "workers", "why"),
    [
        (BUSY, 3, "a core is free"),
        (replace(BUSY, most=2), 2, "no core is free"),
        (replace(BUSY, waited_s=0.1), 2, "keep up"),
        (replace(BUSY, worked_s=2.0, cpu_s=1.9), 2, "waiting for storage"),
        (replace(BUSY, cpu_s=5.0, transform_share=0.9), 1, "holds the GIL; see pool='processes'"),
        (replace(BUSY, cpu_s=5.0), 2, "other programs"),
        (replace(BUSY, workers=4, worked_s=20.0, cpu_s=10.5, transform_share=0.9), 2, "got 2.1 cores"),
        (replace(BUSY, workers=1, worked_s=5.0, cpu_s=1.0, most=1), 1, "no core is free"),
    ],
)
def test_the_choice_and_its_reason(seen, workers, why):
    found, reason = choose(seen)
    assert found == workers
    assert why in reason


def test_a_transform_that_holds_the_gil_is_named_in_the_statistics(train, monkeypatch, caplog):
    monkeypatch.setattr(reader, "_TUNE_EVERY_S", 0.3)

    def slow(batch):
        for _ in range(150_000):
            pass
        return batch

    with (
        caplog.at_level(logging.INFO, "loaders"),
        make_reader(train, batch_size=4, shuffle=Shuffle(seed=1), epochs=None, transform=slow) as found,
    ):
        while not found.stats().note:
            next(found)
        assert found.stats().note in str(found.stats())
        assert found.stats().note in caplog.text


def test_a_number_that_was_given_stays(train, monkeypatch):
    monkeypatch.setattr(reader, "_TUNE_EVERY_S", 0.0)
    with make_reader(train, batch_size=4, epochs=3, options=ReadOptions(workers=3)) as found:
        for _ in found:
            pass
        assert (found.stats().workers, found.stats().note) == (3, "")
