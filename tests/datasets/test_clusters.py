"""Clusters of near-duplicates: planted ones are found, others are not, and nothing is quadratic where all are equal."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image

from lakehouse.datasets.likeness.clusters import clusters_by_cosine, clusters_by_dhash, clusters_by_phash
from lakehouse.datasets.likeness.hamming import CrowdedError
from lakehouse.extractors.image_likeness import measure_likeness
from lakehouse.media.view import ImageView
from tests.datasets.planted import KINDS, planted, png
from tests.lanes import examples

DISTANCE = 8
GENUINE = 2
"""Pairs among the 3,000 pictures of CIFAR-10 that are near-duplicates: frog 0278 and 0306, frog 0091 and 0226."""


def found_by_phash(pictures: list[bytes], distance: int = DISTANCE):
    values = [measure_likeness(ImageView(data)) for data in pictures]
    return clusters_by_phash([each["phash"] for each in values], [each["edge_hash"] for each in values], distance)


def test_200_planted_near_duplicates_among_cifar_are_found_and_no_others(real_data):
    files = sorted(real_data("cifar10").glob("test/*/*.jpg"))
    chance = random.Random(1)
    some = files if examples(0, long=1) == 1 else files[::3]
    chosen = chance.sample(range(len(some)), 200)
    copies = []
    for number, place in enumerate(chosen):
        with Image.open(some[place]) as picture:
            copies.append(png(planted(picture.convert("RGB"), KINDS[number % len(KINDS)], chance)))
    found = found_by_phash([path.read_bytes() for path in some] + copies).of
    hits = sum(found[len(some) + number] == found[place] for number, place in enumerate(chosen))
    assert hits >= 0.95 * 200
    others = len(some) - len(np.unique(found[: len(some)]))
    assert others <= GENUINE  # 0.1 % of 3,000 would be 3


def test_the_overlapping_pair_of_bccd_is_caught(real_data):
    files = sorted(real_data("bccd").glob("JPEGImages/*.jpg"))
    names = ["BloodImage_00037", "BloodImage_00038", "BloodImage_00386", "BloodImage_00391"]
    some = [path for path in files if path.stem in names] + [path for path in files if path.stem not in names][::12]
    assert [path.stem for path in some[:4]] == names
    of = found_by_phash([path.read_bytes() for path in some]).of.tolist()
    assert of == [0, 0, 2, 2, *range(4, len(some))]


def test_equal_hashes_are_one_cluster_without_comparing_each_with_each():
    found = clusters_by_phash(["0123456789abcdef" * 5] * 50_000, ["5a" * 90] * 50_000, DISTANCE)
    assert set(found.of.tolist()) == {0}
    assert found.pairs == 0


def test_a_chain_is_one_cluster_named_by_its_first_place():
    hashes = ["ffff000000000000", "ffff0000000000ff", "00000000ffff0000", "ffff00000000ffff"]
    assert clusters_by_dhash(hashes, 8).of.tolist() == [0, 0, 2, 0]
    assert clusters_by_dhash(hashes, 7).of.tolist() == [0, 1, 2, 3]


def test_dhashes_of_flat_pictures_say_nothing_even_where_they_are_equal():
    found = clusters_by_dhash(["0000000000000000"] * 3 + ["ffffffffffffffff", "0f0f0f0f0f0f0f0f"], 4)
    assert found.of.tolist() == [0, 1, 2, 3, 4]
    assert found.silent == 4


def test_vectors_are_near_by_their_cosine_and_zeros_are_near_nothing():
    vectors = np.array([[1, 0], [2, 0], [0.98, 0.199], [0, 1], [0, 0], [0, 0]], np.float64)
    found = clusters_by_cosine(vectors, 0.03)
    assert (found.of.tolist(), found.pairs, found.silent) == ([0, 0, 0, 3, 4, 5], 3, 2)
    assert clusters_by_cosine(vectors, 0.0).of.tolist() == [0, 0, 2, 3, 4, 5]


def test_too_many_vectors_are_refused_before_hours_pass():
    with pytest.raises(CrowdedError, match="1,000,000 vectors of 8 numbers"):
        clusters_by_cosine(np.zeros((1_000_000, 8)), 0.1)
