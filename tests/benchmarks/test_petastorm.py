"""What a figure of the comparison with Petastorm means; measuring itself is not tested here."""

from __future__ import annotations

import pytest

from benchmarks.petastorm.__main__ import main
from benchmarks.petastorm.comparing import Comparison, Line
from benchmarks.petastorm.sets import SETS
from benchmarks.petastorm.table import render
from benchmarks.petastorm.workloads import OURS, THEIRS, WORKLOADS, Setting


def line(setting: Setting, *rounds: tuple[float, float, float], rows: int = 64_000) -> Line:
    """Return a line of `rows` with (rows per second, own MB, first_s) of each round, of one pass each."""
    found = Line("rows", "petastorm", setting)
    for rate, own, first in rounds:
        one = {"rows": rows, "seconds": rows / rate, "cpu_s": 1.0}
        found.rounds.append(
            {"passes": [one], "rows": [rows, rows], "imported_mb": 100.0, "peak_mb": 100.0 + own, "first_s": first,
             "process_first_s": 1.0}
        )  # fmt: skip
    return found


SUMS = {"rows": 64_000, "sums": {"label": 5.0, "x": 1.0}}


def test_ratios_are_formed_within_a_round_and_an_aim_is_met_by_their_median():
    ours = line(OURS, (100_000, 10, 0.1), (400_000, 20, 0.1), (500_000, 30, 0.3))
    theirs = line(THEIRS["dummy"], (100_000, 100, 0.4), (100_000, 100, 1.0), (50_000, 100, 1.0))
    one = Comparison(ours, theirs, sums={"petrel": SUMS, "petastorm": SUMS})

    assert one.ratios("rates") == pytest.approx([1.0, 4.0, 10.0])
    table = render([one])
    assert "| times as fast | rows, petastorm | 4 (1-10) | >= 4 | MET |" in table
    assert "| own memory | rows, petastorm | 0.2 (0.1-0.3) | <= 0.25 | MET |" in table
    assert "| first item | rows, petastorm | 0.25 (0.1-0.3) | <= 0.25 | MET |" in table
    assert "| every row, once a pass | rows, petastorm | 0 of 6 short | 0 | MET |" in table
    assert "| the same values | rows, petastorm | equal | equal | MET |" in table


def test_lost_rows_and_other_values_are_told():
    ours, theirs = line(OURS, (100_000, 30, 0.1)), line(THEIRS["thread-2"], (100_000, 100, 0.1), rows=55_000)
    one = Comparison(ours, theirs, sums={"petrel": {**SUMS, "sums": {"label": 5.0, "x": 1.5}}, "petastorm": SUMS})

    table = render([one])

    assert "| Petastorm thread-2 |" in table
    assert "2 of 2 (least 55,000 rows)" in table
    assert "| times as fast | rows, petastorm | 1 (1-1) | >= 4 | NOT MET |" in table
    assert "x off by 0.5 | equal | NOT MET |" in table


def test_a_library_that_fails_is_in_the_table_with_the_reason_and_meets_nothing():
    one = Comparison(line(OURS), line(THEIRS["dummy"], (1.0, 1.0, 1.0)))
    one.ours.failure = "ImportError: no such module"

    table = render([one])

    assert "| rows, petastorm | Petrel | no result: ImportError: no such module |" in table
    assert "| all | rows, petastorm | no result | | NOT MET |" in table


def test_petastorm_is_tried_with_every_pool_and_petrel_comes_as_it_is():
    assert next(iter(THEIRS)) == "dummy"
    assert {each.pool for each in THEIRS.values()} == {"dummy", "thread", "process"}
    assert THEIRS["thread-10"].arguments == {"reader_pool_type": "thread", "workers_count": 10}
    assert OURS.arguments == {}
    assert {each.set for each in WORKLOADS.values()} <= set(SETS)


def test_unknown_names_are_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        main(["--settings", "dummy,green"])

    assert "no green; there are dummy, thread-1" in capsys.readouterr().err
