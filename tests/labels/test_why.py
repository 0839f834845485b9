"""`petrel why` tells the whole story of one thing."""

from __future__ import annotations

import json

import pytest

from jobs.cli import main
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import ConfigError
from lakehouse.labels.policies import register_policy
from lakehouse.labels.policy import Policy, Step
from lakehouse.labels.presets import trust
from lakehouse.labels.story import story_of
from lakehouse.opinions.imports import imports_of
from lakehouse.opinions.retract import retract_import, retract_opinions
from tests.labels.making import APR, FEB, JAN, MAR, believed, opinion_of
from tests.making import entity_id


def test_every_opinion_is_told_in_order_with_what_became_of_it(heard):
    x = [(row["actor_id"], row["label"], row["status"]) for row in story_of(heard, entity_id("x")).said]
    assert x == [
        ("human:ann", "cat", "current"), ("human:bo", "cat", "outdated"), ("model:cnn@1", "dog", "current"),
        ("human:bo", "lynx", "current"), ("human:cy", "cat", "current"),
    ]  # fmt: skip
    z = [(row["actor_id"], row["op"], row["status"]) for row in story_of(heard, entity_id("z")).said]
    assert z == [
        ("human:ann", "assert", "retracted"), ("model:cnn@1", "assert", "current"),
        ("model:cnn@2", "assert", "current"), ("human:ann", "retract", "retracts"),
    ]  # fmt: skip


def test_what_each_policy_believed_is_told_from_the_moment_on_at_which_it_did(heard):
    expert = trust("human:expert")
    told = {
        name: [
            (each.since, None if each.answer is None else each.answer["label"] or each.answer["problem"])
            for each in story_of(heard, entity_id(name), policies=[Policy((Step(kinds=("human",)),))]).beliefs
        ]
        for name in "xyz"
    }  # fmt: skip
    assert told == {
        "x": [(JAN, "cat"), (FEB, "tie"), (MAR, "cat")], "y": [(JAN, "tie")], "z": [(JAN, "dog"), (APR, None)],
    }  # fmt: skip
    assert [(each.since, each.answer["label"]) for each in story_of(heard, entity_id("y"), policies=[expert]).beliefs
            ] == [(FEB, "lynx")]  # fmt: skip


def test_a_taken_back_import_and_a_taken_back_answer_are_told(told, clock):
    first = next(each for each in imports_of(told) if each.source == "human:bo")
    retract_import(told, first, reason="the wrong file")
    found = {row["label"]: row for row in story_of(told, entity_id("x")).said if row["actor_id"] == "human:bo"}
    assert (found["cat"]["status"], found["lynx"]["status"]) == ("retracted", "current")
    opinion = opinion_of(told, "human:ann", "x")
    assert retract_opinions(told, [opinion[:10]], reason="slip").counts["new"] == 1
    assert retract_opinions(told, [opinion], reason="slip").counts == {
        "read": 1, "new": 0, "same": 1, "rejected": 0, "unmatched": 0,
    }  # fmt: skip
    assert believed(told, "majority", names=["x"]) == {"x": "tie"}
    story = story_of(told, entity_id("x"))
    retracted = next(row for row in story.said if row["opinion_id"] == opinion)
    by = next(row for row in story.said if row["opinion_id"] == retracted["by"])
    assert (retracted["status"], by["op"], by["reason"]) == ("retracted", "retract", "slip")


def test_the_command_tells_datasets_policies_and_json(told, capsys):
    register_policy(told, Policy((Step(kinds=("human",), quorum=4),), name="strict"))
    build(told, parse_recipe({"name": "animals", "question": "animal"}, where="test"))
    lake = ["--lake", str(told.root)]
    assert main(["why", entity_id("x"), *lake]) == 0
    shown = capsys.readouterr().out
    for part in ("said, in the order", "believed, each since", "below_quorum", "majority (a34d8cb7)", "animals",
                 "majority label of `animal`, quorum 1", "2025-03-01 00:00:00"):  # fmt: skip
        assert part in shown
    assert main(["why", entity_id("x")[:8], "--policy", "strict", "--json", *lake]) == 0
    told_json = json.loads(capsys.readouterr().out)
    assert [each["answer"]["problem"] for each in told_json["beliefs"]] == ["below_quorum"]
    assert told_json["said"][0]["brought"]["source"] == "human:ann"
    assert told_json["shown"]["datasets"][0]["split"] in ("train", "val", "test")
    assert main(["labels", "believed", "animal", "--known-at", f"{FEB:%Y-%m-%d}T00:00:00Z", "--json", *lake]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["subject_id"]: row["label"] for row in rows} == {
        entity_id("w"): "cat", entity_id("x"): None, entity_id("y"): None, entity_id("z"): "dog",
    }  # fmt: skip
    assert main(["labels", "policies", *lake]) == 0
    assert "strict" in capsys.readouterr().out
    assert main(["labels", "believed", "animal", "--policy", "strikt", *lake]) == 1
    assert "did you mean `strict`" in capsys.readouterr().err


def test_the_command_registers_a_policy_from_a_file(told, tmp_path, capsys):
    (tmp_path / "two.toml").write_text('[[steps]]\nkinds = ["human"]\nquorum = 2\n')
    lake = ["--lake", str(told.root)]
    assert main(["labels", "policy", str(tmp_path / "two.toml"), *lake]) == 0
    assert "1 registered" in capsys.readouterr().out
    assert main(["labels", "believed", "animal", "--policy", "two", *lake]) == 0
    assert "tie" in capsys.readouterr().out


def test_a_thing_that_nobody_knows_is_an_error(heard):
    with pytest.raises(ConfigError, match="nothing called"):
        story_of(heard, "f" * 64)
