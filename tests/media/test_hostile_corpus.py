"""Every file of the hostile corpus has the outcome it states, without a lake around it."""

from __future__ import annotations

import os

import pytest

from lakehouse.config import load_config
from lakehouse.errors import RejectedInputError
from lakehouse.media.image import probe_image
from lakehouse.media.limits import ImageLimits
from tests.corpus import DUPLICATE, HOSTILE_SETTINGS, IGNORED, good_images, hostile_inputs

UNREAD = ("symlink", "not_a_regular_file", "unreadable", IGNORED)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    good = good_images(folder / "good", 22)
    return good, hostile_inputs(folder / "hostile", good[1], outside=folder / "outside")


def test_the_corpus_has_at_least_forty_hostile_inputs_of_many_kinds(corpus):
    _, hostile = corpus

    assert sum(each.outcome != IGNORED for each in hostile) >= 40
    assert len({each.outcome for each in hostile}) >= 12
    assert len({each.path for each in hostile}) == len(hostile)


def test_good_images_pass_and_differ(corpus):
    good, _ = corpus

    facts = [probe_image(path.read_bytes(), name=path.name) for path in good]

    assert {each.format for each in facts} == {"JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF"}
    assert len({path.read_bytes() for path in good}) == len(good)


def test_what_can_be_read_is_judged_as_the_corpus_says(corpus):
    _, hostile = corpus
    images = load_config(overrides=HOSTILE_SETTINGS).images
    limits = ImageLimits(max_pixels=images.max_pixels, max_frames=images.max_frames, max_bytes=images.max_bytes)
    found, expected = {}, {}

    for each in hostile:
        if each.outcome in UNREAD:
            continue
        with open(each.path, "rb") as file:
            data = file.read()
        name = os.path.basename(each.path)
        expected[name] = each.outcome
        try:
            probe_image(data, name=name.decode(errors="replace"), limits=limits)
            found[name] = DUPLICATE
        except RejectedInputError as error:
            found[name] = error.rule

    assert found == expected


def test_the_same_seed_gives_the_same_corpus(tmp_path, corpus):
    good, hostile = corpus

    again = good_images(tmp_path / "good", 22)
    hostile_again = hostile_inputs(tmp_path / "hostile", again[1], outside=tmp_path / "outside")

    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in good]
    assert [each.outcome for each in hostile_again] == [each.outcome for each in hostile]
