"""The methods of consensus on numbers that can be checked by hand, on real crowds, and on made ones."""

from __future__ import annotations

import csv
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from lakehouse.consensus import registry
from lakehouse.consensus.methods import numbers, rankings, words
from lakehouse.consensus.methods.assignment import assign
from lakehouse.consensus.methods.boxes import fuse_boxes
from lakehouse.consensus.methods.dawid_skene import dawid_skene
from lakehouse.consensus.methods.em import Rounds
from lakehouse.consensus.methods.majority import choose
from lakehouse.consensus.methods.masks import mask_iou, voted_mask
from lakehouse.consensus.methods.medoid import edit_distance, medoid
from lakehouse.consensus.methods.multi_label import label_shares
from lakehouse.consensus.methods.one_coin import one_coin
from lakehouse.consensus.methods.stretches import Stretch, voted_stretches
from lakehouse.consensus.methods.votes import Votes, votes_from
from lakehouse.consensus.methods.weighted import wawa


@pytest.fixture(scope="module")
def dog(real_data: Callable[[str], Path]) -> tuple[Votes, list[str]]:
    """The votes on breeds of dogs, and the truth of each item."""
    folder = real_data("crowd") / "dog"
    with (folder / "answers.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with (folder / "truth.csv").open(newline="") as stream:
        truth = {row["question"]: row["truth"] for row in csv.DictReader(stream)}
    votes = votes_from(*([row[name] for row in rows] for name in ("question", "worker", "answer")))
    return votes, [truth[item] for item in votes.items]


def accuracy(votes: Votes, label: np.ndarray, truth: list[str]) -> float:
    return sum(votes.labels[k] == real for k, real in zip(label.tolist(), truth, strict=True)) / len(truth)


@pytest.mark.parametrize(("ties", "expected"), [("lowest", 0.8178), ("highest", 0.8265)])
def test_the_majority_of_a_real_crowd_by_tie_rule(dog: tuple[Votes, list[str]], ties: str, expected: float) -> None:
    votes, truth = dog
    choice = choose(votes.tally_IK, votes.answers_I, ties=ties)
    assert accuracy(votes, choice.label, truth) == pytest.approx(expected, abs=5e-5)
    left = choose(votes.tally_IK, votes.answers_I)
    assert (left.label < 0).sum() == 50


def test_tied_labels_share_the_point(dog: tuple[Votes, list[str]]) -> None:
    votes, truth = dog
    tied_IK = choose(votes.tally_IK, votes.answers_I, ties="shared").tied_IK
    points = [tied_IK[n, votes.labels.index(real)] / tied_IK[n].sum() for n, real in enumerate(truth)]
    assert np.mean(points) == pytest.approx(0.8222, abs=5e-5)


def test_dawid_skene_on_a_real_crowd(dog: tuple[Votes, list[str]]) -> None:
    votes, truth = dog
    fit = dawid_skene(votes)
    assert fit.converged
    assert accuracy(votes, fit.posterior_IK.argmax(axis=1), truth) == pytest.approx(0.842, abs=0.02)
    np.testing.assert_allclose(fit.posterior_IK.sum(axis=1), 1.0)


def simulated(seed: int, *, items: int = 600, labels: int = 4) -> tuple[Votes, np.ndarray]:
    """Votes of 3 good and 6 poor annotators of 5 each, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(labels, size=items)
    right = np.array([0.95, 0.95, 0.9, 0.35, 0.35, 0.3, 0.3, 0.3, 0.3])
    rows = []
    for item in range(items):
        for actor in rng.choice(len(right), 5, replace=False):
            said = truth[item] if rng.random() < right[actor] else rng.integers(labels)
            rows.append((f"{item:04}", f"a{actor}", f"{said}"))
    return votes_from(*map(list, zip(*rows, strict=True))), truth


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_dawid_skene_beats_the_majority_of_unequal_annotators_by_three_points(seed: int) -> None:
    votes, truth = simulated(seed)
    names = [f"{each}" for each in truth]
    most = choose(votes.tally_IK, votes.answers_I, ties="lowest").label
    for fit in (dawid_skene(votes), one_coin(votes)):
        assert accuracy(votes, fit.posterior_IK.argmax(axis=1), names) >= accuracy(votes, most, names) + 0.03
    skill = wawa(votes)[1]
    assert skill[:3].min() > skill[3:].max()


def test_a_vote_of_weight_three_is_three_votes() -> None:
    once = votes_from(["1", "1", "2"], ["a", "b", "a"], ["x", "y", "x"], [3, 1, 2])
    often = votes_from(["1"] * 4 + ["2"] * 2, ["a"] * 3 + ["b"] + ["a"] * 2, ["x"] * 3 + ["y"] + ["x"] * 2)
    for method in (dawid_skene, one_coin):
        np.testing.assert_allclose(method(once).posterior_IK, method(often).posterior_IK)


def test_the_order_of_votes_changes_nothing() -> None:
    votes, _ = simulated(1, items=50)
    mixed = np.random.default_rng(0).permutation(len(votes.item))
    other = Votes(votes.items, votes.actors, votes.labels, votes.item[mixed], votes.actor[mixed], votes.label[mixed],
                  votes.weight[mixed])  # fmt: skip
    np.testing.assert_allclose(dawid_skene(votes).posterior_IK, dawid_skene(other).posterior_IK, atol=1e-9)


def test_a_thousand_votes_on_one_item_do_not_underflow() -> None:
    votes = votes_from(["1"] * 3000, [f"{n}" for n in range(3000)], ["x", "x", "y"] * 1000)
    for method in (dawid_skene, one_coin):
        posterior = method(votes, Rounds(most=5)).posterior_IK
        assert np.isfinite(posterior).all()
        assert posterior[0, 0] > 0.99


def test_one_label_and_no_votes_are_no_errors() -> None:
    assert dawid_skene(votes_from(["1"], ["a"], ["x"])).posterior_IK.tolist() == [[1.0]]
    assert choose(votes_from([], [], []).tally_IK, np.zeros(0)).label.tolist() == []


def test_ties_go_by_the_order_of_the_label_set() -> None:
    votes = votes_from(["1", "1"], ["a", "b"], ["ant", "zebra"], order=["zebra", "ant"])
    label = choose(votes.tally_IK, votes.answers_I, ties="lowest").label[0]
    assert votes.labels[label] == "zebra"


def test_middles_of_numbers() -> None:
    said, even = np.array([1.0, 2.0, 3.0, 100.0]), np.ones(4)
    assert numbers.mean(said, even).value == 26.5
    assert numbers.median(said, even).value == 2.5
    assert numbers.median(said, np.array([1.0, 5.0, 1.0, 1.0])).value == 2.0
    assert numbers.trimmed_mean(said, even, trim=0.25).value == 2.5
    assert numbers.trimmed_mean(said, even, trim=0.0).value == 26.5


def test_the_mean_of_angles_goes_round() -> None:
    found = numbers.circular_mean(np.array([350.0, 10.0]), np.ones(2))
    assert found.value == pytest.approx(0.0, abs=1e-9) or found.value == pytest.approx(360.0)
    assert numbers.circular_mean(np.array([0.0, 180.0]), np.ones(2)).value is None
    assert numbers.circular_mean(np.array([23.0, 1.0]), np.ones(2), period=24).value == pytest.approx(0.0, abs=1e-9)


def test_the_assignment_is_the_best_of_all() -> None:
    rng = np.random.default_rng(0)
    for rows, columns in [(1, 1), (3, 3), (2, 5), (5, 2), (4, 4)]:
        gain = rng.random((rows, columns))
        wide = gain if rows <= columns else gain.T
        ways = permutations(range(max(rows, columns)), min(rows, columns))
        best = max(sum(wide[n, c] for n, c in enumerate(each)) for each in ways)
        assert sum(gain[pair] for pair in assign(gain)) == pytest.approx(best)


BOXES = np.array([[0, 0, 10, 10], [2, 0, 10, 10], [1, 0, 10, 10], [50, 50, 4, 4], [0, 0, 10, 10]], np.float64)


@pytest.mark.parametrize("matching", ["greedy", "hungarian"])
def test_boxes_are_fused_by_class_and_overlap(matching: str) -> None:
    labels, owners = ["cell", "cell", "cell", "cell", "other"], ["a", "b", "c", "c", "a"]
    found = fuse_boxes(BOXES, labels, owners, [1, 1, 1, 1, 1], matching=matching)
    told = [(each.label, each.box, each.members, each.support) for each in found]
    assert told == [("cell", (1, 0, 10, 10), (0, 1, 2), 3), ("cell", (50, 50, 4, 4), (3,), 1),
                    ("other", (0, 0, 10, 10), (4,), 1)]  # fmt: skip


@pytest.mark.parametrize("matching", ["greedy", "hungarian"])
def test_an_annotator_is_in_a_cluster_once(matching: str) -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 10, 10], [0, 0, 10, 10]], np.float64)
    found = fuse_boxes(boxes, ["x"] * 3, ["a", "a", "b"], [1, 1, 1], matching=matching)
    assert sorted(each.members for each in found) == [(0, 2), (1,)]


def test_pixels_are_voted_on() -> None:
    one, two, three = (np.zeros((4, 4), bool) for _ in range(3))
    one[:2], two[:3], three[1:3] = True, True, True
    assert voted_mask([one, two, three], [1, 1, 1]).sum(axis=1).tolist() == [4, 4, 4, 0]
    assert voted_mask([one, two, three], [1, 1, 1], threshold=0.7).sum(axis=1).tolist() == [0, 4, 0, 0]
    assert mask_iou([one, two])[0, 1] == pytest.approx(2 / 3)


def test_characters_and_instants_are_voted_on() -> None:
    found = voted_stretches([0, 2, 3, 9], [5, 6, 4, 12], ["a", "b", "c", "a"], [1, 1, 1, 1], above=1.5)
    assert found == [Stretch(2, 5, 2)]
    # Two stretches of one annotator are one voice.
    assert voted_stretches([0, 1], [5, 4], ["a", "a"], [1, 1], above=1.5) == []
    assert voted_stretches([0.0, 0.5], [1.0, 2.0], ["a", "b"], [1, 1], above=1) == [Stretch(0.5, 1.0, 2)]


def test_labels_are_voted_on_one_by_one() -> None:
    assert label_shares([{"a", "b"}, {"a"}, set()], [1, 1, 2]) == {"a": 0.5, "b": 0.25}


def test_orders_are_joined() -> None:
    said = [["a", "b", "c"], ["a", "c", "b"], ["b", "a", "c"]]
    assert rankings.ordered(rankings.borda(said, [1, 1, 1])) == (["a", "b", "c"], False)
    strong = rankings.bradley_terry(said, [1, 1, 1])
    assert rankings.ordered(strong)[0] == ["a", "b", "c"]
    assert sum(strong.values()) == pytest.approx(1)
    # Of two, the strengths are the shares of wins (with a tenth of a win each beforehand).
    assert rankings.bradley_terry([["a", "b"]] * 3 + [["b", "a"]], [1] * 4)["a"] == pytest.approx(3.1 / 4.2)
    assert rankings.borda([["a"], ["b", "c"]], [1, 1]) == {"a": 0.5, "b": 0.625, "c": 0.375}


def test_the_text_nearest_to_all_is_taken() -> None:
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("", "abc") == 3
    assert edit_distance("a😀b", "ab") == 1
    assert medoid(["the cat", "the cat", "teh cat", "dog"], [1, 1, 1, 1])[0] == "the cat"


def test_the_help_names_the_methods_that_there_are():
    assert list(words.METHODS) == list(registry.METHODS)
