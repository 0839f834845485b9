"""What a build tells a person about its splits, and that it is quiet where nothing is remarkable."""

from __future__ import annotations

import pytest

from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import RecipeError
from lakehouse.query import fetch
from tests.making import add_entities, add_opinions, opinion

NAMES = [f"n{number}" for number in range(40)]


def built(lake, labels: dict[str, str] | None = None, **record):
    """Build, with these labels if there are any."""
    asking = {"question": "animal"} if labels else {}
    if labels:
        add_opinions(lake, [opinion(name, "human:ada", label) for name, label in labels.items()])
    return build(lake, parse_recipe({"name": "zoo"} | asking | record, where="zoo.toml"))


def official(lake, splits: dict[str, str], labels: dict[str, str] | None = None, **more):
    add_entities(lake, list(splits), groups={name: {"part": split} for name, split in splits.items()})
    return built(lake, labels, split={"official": "key:part"} | more)


def noted(receipt) -> dict[str, int]:
    return {note.rule: note.count for note in receipt.notes}


def test_official_splits_that_hold_one_label_each_are_an_error_unless_they_are_named(lake):
    classes = {"n0": "cat", "n1": "cat", "n2": "dog"}
    with pytest.raises(RecipeError, match=r"`cat`, `dog`, each of which holds exactly one label: these are classes"):
        official(lake, classes, classes)
    assert fetch(lake, "select * from gold.dataset_members") == []
    receipt = official(lake, classes, classes, names={"cat": "cat", "dog": "dog"})
    assert (receipt.counts["cat"], noted(receipt)["class_without_members"]) == (2, 2)


def test_official_splits_that_are_the_labels_are_noted(lake):
    splits = {"n0": "cat", "n1": "cat", "n2": "dog"}
    found = noted(official(lake, splits, splits | {"n1": "dog"}))
    assert found["splits_look_like_classes"] == 2


def test_official_splits_none_of_which_is_called_like_one_are_noted(lake):
    assert noted(official(lake, {"n0": "cat", "n1": "dog"})) == {"unusual_splits": 2}


@pytest.mark.parametrize("names", [("train", "mini"), ("val2017", "train2017"), ("fold0", "fold1"), ("test_a", "b")])
def test_official_splits_of_usual_names_are_taken_without_a_word(lake, names):
    assert official(lake, dict(zip(NAMES, names, strict=False))).notes == ()


def test_an_official_split_that_could_not_be_published_is_an_error_that_says_how_to_name_it(lake):
    with pytest.raises(RecipeError, match=r"'JPEG' cannot be the name .*lower-case .*names = \{ 'JPEG' = \"train\" \}"):
        official(lake, {"n0": "JPEG", "n1": "test"})
    assert official(lake, {"n0": "JPEG", "n1": "test"}, names={"JPEG": "train"}).counts["train"] == 1


def test_an_empty_split_is_noted_and_one_without_a_share_is_not(lake):
    add_entities(lake, NAMES[:1])
    (note,) = built(lake, split={"ratios": {"train": 0.5, "test": 0.5}}).notes
    assert (note.rule, note.count) == ("empty_split", 1)
    assert "(ratio 0.5), of 1 members" in note.example
    assert built(lake, split={"ratios": {"none": 0.0, "all": 1.0}}).notes == ()


def test_a_split_far_from_its_ratio_because_of_groups_is_noted(lake):
    add_entities(lake, NAMES, groups={name: {"patient": f"p{n > 35}"} for n, name in enumerate(NAMES)})
    ratios = {"train": 0.5, "test": 0.5}
    notes = {note.rule: note for note in built(lake, split={"ratios": ratios, "group": "patient"}).notes}
    assert notes["far_from_ratio"].count == 2
    assert "40 members in 2 groups by `patient`" in notes["far_from_ratio"].example
    assert "far_from_ratio" not in noted(built(lake, split={"ratios": ratios}))


def test_a_class_without_a_member_in_one_of_the_splits_is_noted(lake):
    labels = {"n0": "cat", "n1": "dog", "n2": "cat"}
    (note,) = official(lake, {"n0": "train", "n1": "train", "n2": "test"}, labels).notes
    assert (note.rule, note.count, note.example) == (
        "class_without_members", 1, "classes without a member: `dog` in test"
    )  # fmt: skip


def test_the_receipt_says_why_members_were_excluded_also_when_nothing_has_changed(lake):
    add_entities(lake, NAMES[:4])
    ratios = {"ratios": {"all": 1.0}}
    labels = {"n0": "cat", "n1": "dog"}
    first = built(lake, labels, split=ratios)
    assert (first.counts["excluded"], first.details["excluded_because"]) == (2, "2 no_label")
    again = build(lake, parse_recipe({"name": "zoo", "question": "animal", "split": ratios}, where="x"))
    assert again.details == first.details
    assert "excluded_because 2 no_label" in str(again)
    assert "excluded_because" not in build(lake, parse_recipe({"name": "all", "split": ratios}, where="x")).details
