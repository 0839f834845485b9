"""Measures of agreement beside figures of other implementations (krippendorff 0.9.0, statsmodels 0.15), and by hand."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lakehouse.agreement.measures.alpha import alpha
from lakehouse.agreement.measures.doubtful import doubtful_boxes, far_from_votes
from lakehouse.agreement.measures.kappa import cohen, fleiss
from lakehouse.agreement.measures.matched import Matched, match_shapes
from lakehouse.agreement.measures.neighbours import far_from_neighbours, nearest
from lakehouse.agreement.measures.pairs import pairs
from lakehouse.agreement.measures.unitizing import difference, disagreement
from lakehouse.consensus.methods.votes import Votes, votes_from
from lakehouse.overlap.boxes import iou

# Four raters, twelve units, 0 = no answer: the example of Krippendorff's paper.
SAID = """
1 2 3 3 2 1 4 1 2 0 0 0
1 2 3 3 2 2 4 1 2 5 0 3
0 3 3 3 2 3 4 2 2 5 1 0
1 2 3 3 2 4 4 1 2 5 1 0
"""


def paper() -> tuple[np.ndarray, ...]:
    table = np.array([line.split() for line in SAID.strip().splitlines()], np.int64)
    rater, unit = np.nonzero(table)
    return unit, table[rater, unit] - 1, np.ones(len(unit)), np.arange(1.0, 6.0)


@pytest.mark.parametrize(
    ("level", "expected"), [("nominal", 0.743421), ("ordinal", 0.815388), ("interval", 0.849107), ("ratio", 0.797403)]
)
def test_alpha_of_krippendorffs_own_example(level: str, expected: float) -> None:
    assert alpha(*paper(), level=level) == pytest.approx(expected, abs=1e-6)


def votes_in(file: Path, names: tuple[str, str, str], weight: str | None = None) -> Votes:
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = [[row[name] for row in rows] for name in names]
    return votes_from(*columns, None if weight is None else [float(row[weight]) for row in rows])


def alpha_of(votes: Votes, level: str = "nominal") -> float | None:
    return alpha(votes.item, votes.label, votes.weight, np.arange(len(votes.labels), dtype=float), level=level)


def test_agreement_of_real_crowds(real_data: Callable[[str], Path]) -> None:
    dog = votes_in(real_data("crowd") / "dog" / "answers.csv", ("question", "worker", "answer"))
    assert alpha_of(dog) == pytest.approx(0.519418, abs=1e-6)
    assert alpha_of(dog, "ordinal") == pytest.approx(0.8131, abs=5e-5)
    assert fleiss(dog.tally_IK)[0] == pytest.approx(0.519358, abs=1e-6)
    cifar = votes_in(real_data("cifar10") / "opinions.csv", ("image", "image", "label"), "count")
    assert cifar.weight.sum() == 153_155
    assert alpha_of(cifar) == pytest.approx(0.916921, abs=1e-6)
    assert fleiss(cifar.tally_IK) == (None, "units have 47 to 60 answers; it needs the same number on each")


def test_what_has_no_alpha_is_none() -> None:
    one = np.array([0, 1]), np.array([0, 1]), np.ones(2), np.arange(2.0)
    assert alpha(*one) is None
    same = np.array([0, 0]), np.array([1, 1]), np.ones(2), np.arange(2.0)
    assert alpha(*same) is None
    with pytest.raises(ValueError, match="level"):
        alpha(*one, level="metric")


def test_cohens_kappa_by_hand() -> None:
    # 20 both yes, 5 yes/no, 10 no/yes, 15 both no: observed 0.7, by chance 0.5.
    one = np.array([0] * 25 + [1] * 25)
    other = np.array([0] * 20 + [1] * 5 + [0] * 10 + [1] * 15)
    assert cohen(one, other, 2) == pytest.approx(0.4)
    assert cohen(np.zeros(3, np.int64), np.zeros(3, np.int64), 2) is None
    found = pairs({"a": {0: 0, 1: 1, 2: 0}, "b": {1: 1, 2: 1}, "c": {9: 0}}, ["a", "b", "c"], 2)
    assert [(each.one, each.other, each.units, each.agreed) for each in found] == [("a", "b", 2, 0.5)]


def test_fleiss_says_why_it_is_not_defined() -> None:
    assert fleiss(np.array([[2.0, 0.0], [2.0, 0.0]])) == (None, "all answers are one label")
    assert fleiss(np.array([[1.0, 0.0]])) == (None, "units have one answer each")
    assert fleiss(np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]]))[0] == pytest.approx(1 / 3)


def test_shapes_match_one_to_one() -> None:
    mine = np.array([[0, 0, 10, 10], [20, 0, 10, 10], [50, 0, 10, 10]], float)
    theirs = np.array([[0, 0, 10, 10], [22, 0, 10, 10], [90, 0, 1, 1]], float)
    found = match_shapes(iou(mine, theirs)) + Matched(shapes=1)
    assert (found.matched, found.shapes) == (2, 7)
    assert found.mean_iou == pytest.approx((1 + 8 / 12) / 2)
    assert found.f1 == pytest.approx(4 / 7)
    assert ((Matched() + Matched()).f1, found.boundary_error) == (None, None)


def test_alpha_for_unitizing_is_krippendorffs_own_example() -> None:
    # Krippendorff 2004, p. 254: two observers, a continuum of 300 from 150 on, categories c and k.
    def from_150(*units: tuple[int, int]) -> list[tuple[int, int]]:
        return [(start - 150, start - 150 + size) for start, size in units]

    c = disagreement([from_150((225, 70), (370, 30)), from_150((220, 80), (355, 20), (400, 20))], 300)
    k = disagreement([from_150((180, 60), (300, 50))] * 2, 300)
    assert (c, k) == (pytest.approx((0.0144, 0.0532), abs=5e-5), pytest.approx((0.0, 0.0490), abs=5e-5))
    assert 1 - c[0] / c[1] == pytest.approx(0.7286, abs=5e-4)
    assert 1 - (c[0] + k[0]) / (c[1] + k[1]) == pytest.approx(0.8591, abs=5e-4)
    # His differences of a unit of 6 from 5 on (2004, figure 11.7).
    unit = (5, 6, True)
    others = [(4, 2, True), (5, 2, True), (6, 2, True), (7, 2, True), (6, 4, True), unit]
    assert [difference(unit, each) for each in others] == [26, 16, 10, 8, 2, 0]
    assert difference((400, 50, False), (400, 20, True)) == 400


def test_labels_far_from_the_votes_are_candidates() -> None:
    votes = votes_from(["1"] * 4 + ["2"] * 2, ["a", "b", "c", "d", "a", "b"], ["x", "x", "x", "y", "x", "y"])
    found = far_from_votes(votes)
    assert [(each.item, each.actor, each.score) for each in found] == [("1", "d", 1.0)]
    assert found[0].text == "y; of 3 others 3 say x"


def test_the_nearest_are_those_of_the_smallest_angle() -> None:
    vectors = np.array([[1.0, 0], [2, 0.1], [0, 0], [0, 1], [0.1, 1], [9, 9]])
    known = np.array([1, 1, 0, 1, 1, 1], bool)
    assert nearest(vectors, known, number=2).tolist() == [[1, 5], [0, 5], [-1, -1], [4, 5], [3, 5], [4, 1]]
    assert nearest(vectors[:1], known[:1], number=2).tolist() == [[-1, -1]]


def test_a_label_that_no_neighbour_has_is_a_candidate() -> None:
    # Items 0 to 3 are alike and cats but for what bob says of 3; item 4 has no neighbours.
    items = ["0", "1", "2", "3", "3", "4"]
    votes = votes_from(items, ["ann"] * 4 + ["bob", "bob"], ["cat"] * 4 + ["dog", "dog"])
    near = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [-1, -1, -1]])
    found = far_from_neighbours(votes, near)
    assert [(each.rule, each.item, each.actor, each.score) for each in found] == [
        ("far_from_neighbours", "3", "bob", 1.0)
    ]
    assert found[0].text == "dog; of the 3 nearest 100% are cat"


def test_boxes_that_cannot_be_meant_are_candidates() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10.5], [5, 5, 1, 40], [-3, 0, 10, 10], [95, 0, 10, 10]], float)
    found = doubtful_boxes("1", "a", boxes, ["c"] * 5, (100.0, 50.0))
    assert sorted((each.rule, round(each.score, 3)) for each in found) == [
        ("duplicate_box", 0.952), ("outside_frame", 3.0), ("outside_frame", 5.0), ("tiny_box", 1.0),
    ]  # fmt: skip
