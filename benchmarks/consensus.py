"""What a million votes cost through majority and Dawid-Skene, beside plain pandas scripts that say the same.

    python -m benchmarks.consensus                        # on 100,000 items, 10 labels, by 1,000 annotators
    python -m benchmarks.consensus --votes 100000 --sql   # also the form in SQL, on the embedded engine

Seconds are of the wall, one run each, of votes in memory: from columns of texts to a label for each item. The scripts
are what people write: groupby and unstack for the majority, and for Dawid-Skene a merge and a groupby each half round,
as crowd-kit does. Both do the same number of rounds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from lakehouse.config import load_config
from lakehouse.consensus.methods.dawid_skene import dawid_skene
from lakehouse.consensus.methods.em import Rounds
from lakehouse.consensus.methods.majority import choose
from lakehouse.consensus.methods.votes import votes_from
from lakehouse.consensus.sql_form import dawid_skene_sql
from lakehouse.opening import open_lake

T = TypeVar("T")
SMOOTHING = 0.01


def main(argv: Sequence[str] | None = None) -> None:
    """Make votes, and measure both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--votes", type=int, default=1_000_000)
    parser.add_argument("--labels", type=int, default=10)
    parser.add_argument("--annotators", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--sql", action="store_true", help="also the form in SQL")
    arguments = parser.parse_args(argv)
    frame, truth = made(arguments.votes, arguments.labels, arguments.annotators)
    columns = [frame[name].tolist() for name in ("item", "actor", "label")]
    votes, ours = timed("votes as arrays", lambda: votes_from(*columns))
    names = [truth[item] for item in votes.items]
    right = np.array([votes.labels.index(name) for name in names])

    choice, seconds = timed("majority", lambda: choose(votes.tally_IK, votes.answers_I, ties="lowest"))
    theirs, baseline = timed("majority, pandas", lambda: majority_pandas(frame))
    say(f"  with arrays / pandas: {(ours + seconds) / baseline:.2f}")
    say(f"  accuracy {np.mean(choice.label == right):.4f}, pandas {np.mean(theirs.loc[votes.items] == names):.4f}")

    rounds = Rounds(most=arguments.rounds, tolerance=0.0, smoothing=SMOOTHING)
    fit, seconds = timed(f"Dawid-Skene, {arguments.rounds} rounds", lambda: dawid_skene(votes, rounds))
    table, baseline = timed("Dawid-Skene, pandas", lambda: dawid_skene_pandas(frame, arguments.rounds))
    say(f"  with arrays / pandas: {(ours + seconds) / baseline:.2f}")
    there = table.loc[votes.items, list(votes.labels)].to_numpy()
    say(f"  accuracy {np.mean(fit.posterior_IK.argmax(axis=1) == right):.4f}, "
        f"largest difference of a probability {np.abs(fit.posterior_IK - there).max():.1e}")  # fmt: skip
    if arguments.sql:
        with tempfile.TemporaryDirectory() as scratch:
            config = load_config(overrides=[f'lake.root="{Path(scratch) / "lake"}"'])
            with open_lake(config, create=True) as lake:
                other, _ = timed("Dawid-Skene, SQL", lambda: dawid_skene_sql(lake, votes, rounds))
        say(f"  largest difference of a probability {np.abs(fit.posterior_IK - other.posterior_IK).max():.1e}")


def made(num_votes: int, num_labels: int, num_annotators: int) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return votes of annotators who are right 0.2 to 0.95 of the time, ten an item, and the truth."""
    rng = np.random.default_rng(7)
    item = np.arange(num_votes) % max(num_votes // 10, 1)
    truth = rng.integers(num_labels, size=item.max() + 1)
    actor = rng.integers(num_annotators, size=num_votes)
    right = rng.random(num_votes) < rng.uniform(0.2, 0.95, num_annotators)[actor]
    label = np.where(right, truth[item], rng.integers(num_labels, size=num_votes))
    frame = pd.DataFrame({"item": item, "actor": actor, "label": label}).astype(str)
    return frame, {f"{n}": f"{label}" for n, label in enumerate(truth)}


def majority_pandas(frame: pd.DataFrame) -> pd.Series:
    """The label with most votes, the lowest of equal ones."""
    return frame.groupby(["item", "label"]).size().unstack(fill_value=0).idxmax(axis=1)


def dawid_skene_pandas(frame: pd.DataFrame, rounds: int) -> pd.DataFrame:
    """Probabilities by item and label, as joins and groups of data frames."""
    counts = frame.groupby(["item", "actor", "label"]).size().rename("n").reset_index()
    posterior = counts.pivot_table(index="item", columns="label", values="n", aggfunc="sum", fill_value=0.0)
    posterior = posterior.div(posterior.sum(axis=1), axis=0)
    labels = list(posterior.columns)
    for _ in range(rounds):
        joined = counts.merge(posterior, left_on="item", right_index=True)
        joined[labels] = joined[labels].mul(joined["n"], axis=0)
        said = joined.groupby(["actor", "label"])[labels].sum()
        total = said.groupby("actor").sum() + len(labels) * SMOOTHING
        beliefs = np.log(said + SMOOTHING) - np.log(total).reindex(said.index, level="actor")
        prior = posterior.sum() + SMOOTHING
        joined = counts.merge(beliefs, left_on=["actor", "label"], right_index=True)
        joined[labels] = joined[labels].mul(joined["n"], axis=0)
        score = joined.groupby("item")[labels].sum() + np.log(prior / prior.sum())
        share = np.exp(score.sub(score.max(axis=1), axis=0))
        posterior = share.div(share.sum(axis=1), axis=0)
    return posterior


def timed(name: str, work: Callable[[], T]) -> tuple[T, float]:
    """Run, say how long it took, and return both."""
    before = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - before
    say(f"{name}: {seconds:.2f} s")
    return found, seconds


def say(text: str) -> None:
    """Write one line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
