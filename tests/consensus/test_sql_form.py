"""Dawid-Skene in SQL is Dawid-Skene in arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lakehouse.consensus.methods.dawid_skene import dawid_skene
from lakehouse.consensus.methods.em import Rounds
from lakehouse.consensus.methods.votes import votes_from
from lakehouse.consensus.sql_form import dawid_skene_sql
from tests.making import small_lake


def test_both_forms_give_equal_probabilities(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    rows = [(f"{n % 40}", f"a{rng.integers(6)}", f"{(n % 40 + (rng.random() < 0.4)) % 3}", rng.integers(1, 4))
            for n in range(160)]  # fmt: skip
    votes = votes_from(*map(list, zip(*rows, strict=True)))
    one = dawid_skene(votes)
    with small_lake(tmp_path / "lake") as lake:
        other = dawid_skene_sql(lake, votes, Rounds())
    assert one.rounds == other.rounds > 3
    assert one.converged
    assert other.converged
    np.testing.assert_allclose(one.posterior_IK, other.posterior_IK, atol=1e-6)
