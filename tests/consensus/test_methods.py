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
from lakehouse.consensus.methods.keypoints import fuse_keypoints
from lakehouse.consensus.methods.majority import choose
from lakehouse.consensus.methods.masks import voted_mask
from lakehouse.consensus.methods.medoid import edit_distance, medoid
from lakehouse.consensus.methods.multi_label import label_shares
from lakehouse.consensus.methods.one_coin import one_coin
from lakehouse.consensus.methods.stretches import Stretch, voted_stretches
from lakehouse.consensus.methods.tracks import Piece, fuse_tracks, pieces_of
from lakehouse.consensus.methods.turned import fuse_turned, mean_turned
from lakehouse.consensus.methods.votes import Votes, votes_from
from lakehouse.consensus.methods.weighted import wawa
from lakehouse.overlap.tracks import Track


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


def test_turned_boxes_are_averaged_in_centre_sides_and_angle_whatever_way_they_are_told() -> None:
    # One box of 40 x 10 px about (50, 50), told as 20 degrees, as 204 (half a turn on) and with its sides exchanged.
    told = np.array([[30, 45, 40, 10, 20], [31, 45, 40, 10, 204], [44, 30, 12, 40, 108]], np.float64)
    x, y, w, h, angle = mean_turned(told, np.ones(3))
    assert (x + w / 2, y + h / 2, w, h, angle) == pytest.approx((151 / 3, 50, 40, 32 / 3, 62 / 3))
    # Around 0 and around half a turn, where plain means would be a quarter of a turn off.
    assert mean_turned(np.array([[0, 0, 9, 4, 3], [0, 0, 9, 4, 357.0]]), np.ones(2))[4] == pytest.approx(0, abs=1e-9)
    assert mean_turned(np.array([[0, 0, 9, 4, 179], [0, 0, 9, 4, 3.0]]), np.array([3, 1]))[4] == pytest.approx(180)
    found = fuse_turned(told, ["ship"] * 3, ["a", "b", "c"], [1, 1, 1])
    assert [(each.members, each.support) for each in found] == [((0, 1, 2), 3)]
    # The same upright bounds, but across each other: two objects.
    crossed = np.array([[30, 45, 40, 10, 45], [30, 45, 40, 10, -45]], np.float64)
    assert len(fuse_turned(crossed, ["ship"] * 2, ["a", "b"], [1, 1])) == 2


def test_turned_boxes_that_are_upright_are_fused_as_boxes_are() -> None:
    upright = fuse_boxes(BOXES, ["cell"] * 5, list("abcca"), [1, 2, 1, 1, 1])
    turned = fuse_turned(np.column_stack([BOXES, np.zeros(5)]), ["cell"] * 5, list("abcca"), [1, 2, 1, 1, 1])
    assert [each.members for each in turned] == [each.members for each in upright]
    np.testing.assert_allclose([each.box[:4] for each in turned], [each.box for each in upright])


def test_each_keypoint_is_voted_on_by_itself() -> None:
    points = np.array([
        [[10, 10, 2], [20, 20, 2], [0, 0, 0]],
        [[11, 10, 1], [20, 22, 2], [30, 30, 2]],
        [[60, 60, 2], [21, 21, 1], [0, 0, 0]],
        [[90, 90, 2], [95, 95, 2], [99, 99, 2]],
    ], np.float64)  # fmt: skip
    boxes = np.array([[5, 5, 30, 30], [5, 5, 30, 30], [8, 5, 30, 30], [85, 85, 20, 20]], np.float64)
    found = fuse_keypoints(points, boxes, boxes[:, 2] * boxes[:, 3], ["cat"] * 4, ["a", "b", "c", "a"], [1, 1, 1, 1],
                           sigmas_K=np.full(3, 1 / 3), min_iou=0.4)  # fmt: skip
    assert [each.members for each in found] == [(0, 1, 2), (3,)]
    # The median takes no notice of a point that is far off; one of three labelled the last keypoint.
    assert found[0].points_K3.tolist() == [[11, 10, 2], [20, 21, 2], [0, 0, 0]]
    assert found[0].box == (6, 5, 30, 30)
    assert (found[1].oks, found[1].support) == (1.0, 1.0)


def moving(first: int, last: int, x: float, step: float) -> Track:
    frames = np.arange(first, last + 1)
    ones = np.ones(len(frames))
    return Track(frames, np.column_stack([x + step * (frames - first), 5 * ones, 10 * ones, 10 * ones]))


def test_tracks_are_averaged_in_the_frames_that_most_have() -> None:
    tracks = [moving(0, 9, 0, 1), moving(2, 9, 4, 1), moving(0, 7, 0, 1), moving(0, 9, 60, 0)]
    found = fuse_tracks(tracks, ["car"] * 4, ["a", "b", "c", "a"], [1, 1, 1, 1])
    assert [(each.members, each.support) for each in found] == [((0, 1, 2), 3), ((3,), 1)]
    track = found[0].track
    assert track.frames.tolist() == list(range(10))
    assert track.boxes_F4[:, 0] == pytest.approx([0, 1, *[n + 2 / 3 for n in range(2, 8)], 9, 10])
    # Frames of two of three are enough, those of one are not.
    assert fuse_tracks(tracks[:2], ["car"] * 2, ["a", "b"], [1, 1])[0].track.frames.tolist() == list(range(2, 10))


def test_a_track_is_told_by_its_corners() -> None:
    still, gone = moving(0, 4, 3, 0), moving(8, 9, 3, 0)
    path = Track(np.concatenate([still.frames, [5, 6], gone.frames]),
                 np.concatenate([still.boxes_F4, [[4, 5, 10, 10], [5, 5, 10, 10]], gone.boxes_F4]))  # fmt: skip
    assert list(pieces_of(path)) == [
        Piece(0, 4, (3, 5, 10, 10), False), Piece(5, 5, (4, 5, 10, 10), True), Piece(6, 6, (5, 5, 10, 10), False),
        Piece(8, 9, (3, 5, 10, 10), False),
    ]  # fmt: skip
    line = moving(0, 99, 0, 0.1)
    assert [(each.first, each.last, each.moves) for each in pieces_of(line)] == [(0, 98, True), (99, 99, False)]
