"""The parts of the loader benchmark that decide what a figure means; measuring itself is not tested here."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks.loaders import objects
from benchmarks.loaders.__main__ import main
from benchmarks.loaders.audit import _continued, _losses
from benchmarks.loaders.child import check, ids_of, spread
from benchmarks.loaders.environments import REQUIREMENTS
from benchmarks.loaders.plan import ENVIRONMENTS, PEERS, REFERENCE_LIMIT, SETTINGS, chosen
from benchmarks.loaders.rounds import Line
from benchmarks.loaders.table import ratios, render
from benchmarks.loaders.workloads import COLUMNS, WORKLOADS, Workload


class FakeData:
    """Ten rows of the table, without a file."""

    workload = Workload("tabular", "table", 10, 4, (20,), "float32")
    source_bytes = 800

    def __init__(self) -> None:
        self.array = np.random.default_rng(0).standard_normal((10, 20), dtype=np.float32)
        self.array[:, 0] = np.arange(10)


def line(index: int, *rates: float) -> Line:
    """Return a line of the table with one round of one second for each rate."""
    setting = chosen(["tabular"], ["petastorm", "lance"])[index]
    rounds = [{"samples": rate, "seconds": 1.0, "cpu_s": 1.0, "first_s": 0.1} for rate in rates]
    return Line(setting, rounds, {}, {"bytes": 808})


def test_a_ratio_is_formed_within_a_round():
    slow_then_fast, fast_then_slow = line(0, 10, 40), line(1, 20, 10)

    assert ratios(slow_then_fast, fast_then_slow) == [0.5, 4.0]
    assert ratios(slow_then_fast, None) == []


def test_a_loader_without_a_result_is_in_the_table_with_the_reason():
    failed = Line(next(each for each in SETTINGS if each.peer == "lancedb" and each.workload == "tabular"))
    failed.failure = "no environment"

    table = render([line(0, 10, 20, 30), failed], {"tabular": FakeData()})

    assert "| **limit tgather w2** | 3 | 20 (10-30) |" in table
    assert "| lancedb w2 layout=matrix | 0 | no result: no environment |" in table


def test_every_workload_has_the_limit_that_its_ratios_refer_to_and_petrel():
    for workload, limit in REFERENCE_LIMIT.items():
        names = [each.name for each in SETTINGS if each.workload == workload]
        assert limit in names
        assert any(name.startswith("petrel") for name in names)
        assert len(names) == len(set(names))


def test_every_peer_is_measured_and_every_environment_has_exact_pins():
    assert {each.peer for each in SETTINGS} == {"limit", *PEERS}
    for name in ENVIRONMENTS:
        lines = (REQUIREMENTS / f"{name}.txt").read_text().splitlines()
        pins = [each for each in lines if each and not each.lstrip().startswith("#")]
        assert pins
        assert all("==" in each for each in pins)
        assert not [each for each in pins if each.startswith(("torch==", "nvidia-"))]


@pytest.mark.parametrize(
    ("ids", "near", "disp"),
    [
        (np.arange(1000), 1.0, 0.0),
        (np.arange(1000)[::-1], 1.0, 1.5),
        (np.random.default_rng(0).permutation(1000), 0.02, 1.0),
    ],
)
def test_spread_is_that_of_the_order(ids, near, disp):
    found = spread(ids, 1000, None)

    assert found["near"] == pytest.approx(near, abs=0.01)
    assert found["disp"] == pytest.approx(disp, abs=0.05)


def test_spread_regards_places_in_the_files_and_not_ids():
    stored = np.random.default_rng(0).permutation(1000)

    assert spread(stored, 1000, stored)["near"] == 1.0
    assert spread(stored[:500], 1000, stored)["disp"] is None


def test_a_batch_of_other_values_or_another_shape_is_refused():
    data = FakeData()
    rows = data.array[[3, 1, 2, 0]]
    batch = {name: rows[:, index].copy() for index, name in enumerate(COLUMNS)}

    check(batch, data)
    assert ids_of(batch, data.workload).tolist() == [3, 1, 2, 0]
    with pytest.raises(RuntimeError, match=r"delivers float32 \(3, 20\), not float32 \(4, 20\)"):
        check({"x": rows[:3]}, data)
    batch["f07"][2] += 1
    with pytest.raises(RuntimeError, match="other values than were written"):
        check(batch, data)


def test_ids_come_out_of_the_first_bytes_of_small_tensors():
    work = WORKLOADS["tensors32"]
    x = np.zeros((2, *work.shape), np.uint8)
    x.reshape(2, -1)[:, :4] = [[1, 0, 0, 0], [0x50, 0xC3, 0, 0]]

    assert ids_of({"x": x}, work).tolist() == [1, 50_000]


def test_the_audit_tells_exact_from_other_order_from_losses():
    assert _losses([0, 1, 1], 4) == "1 / 2"
    assert _continued([0, 1], [2, 3], [0, 1, 2, 3], 4) == "exact"
    assert _continued([0, 1], [3, 2], [0, 1, 2, 3], 4) == "same samples, other order; 0 / 0"
    assert _continued([0, 1], [1, 2], [0, 1, 2, 3], 4) == "no; 1 / 1"


def test_unknown_names_are_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        main(["--peers", "lancedb,pandas"])

    assert "no pandas; there are petrel, plain, petastorm" in capsys.readouterr().err


def test_the_benchmark_of_objects_runs_and_compares_all_with_pictures_alone(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["objects", "--pictures", "6", "--rounds", "1"])
    objects.main()
    lines = capsys.readouterr().out.splitlines()
    assert [text[:42].strip() for text in lines] == list(objects.CASES)
    assert lines[0].endswith("1.00 x")
