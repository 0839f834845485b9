"""Consensus is an opinion like others: it can be run twice, changes when answers do, and hears no consensus."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import lakehouse as lh
from jobs.cli import main
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.query import fetch
from tests.making import Clock, add_entities, add_opinions, entity_id, opinion, small_lake


@pytest.fixture
def lake(tmp_path: Path, clock: Clock) -> Iterator[Lake]:
    with small_lake(tmp_path / "lake", clock=clock) as found:
        add_entities(found, ["a", "b", "c"])
        said = [("a", "ann", "cat"), ("a", "bob", "cat"), ("a", "cyd", "dog"), ("b", "ann", "dog"), ("b", "bob", "cat"),
                ("c", "ann", "dog")]  # fmt: skip
        add_opinions(found, [opinion(name, f"human:{who}", label) for name, who, label in said])
        yield found


def said(lake: Lake, actor: str = "consensus:majority@1") -> list[tuple[str, str | None, str | None]]:
    rows = fetch(lake, "select subject_id, label, reason from current_opinions where actor_id = $actor",
                 params={"actor": actor})  # fmt: skip
    names = {entity_id(name): name for name in "abcdef"}
    return sorted((names[row["subject_id"]], row["label"], row["reason"]) for row in rows)


def test_a_majority_is_recorded_with_its_inputs_and_again_adds_nothing(lake: Lake) -> None:
    receipt = lh.consensus(lake, question="animal", method="majority")
    assert receipt.counts == {"heard": 6, "actors": 3, "subjects": 3, "decided": 2, "undecided": 1, "new": 3, "same": 0}
    assert said(lake) == [("a", "cat", None), ("b", None, "tie: cat 1, dog 1"), ("c", "dog", None)]
    row = fetch(lake, "select probs, confidence, ext from current_opinions where label = 'cat' and confidence > 0")
    assert dict(row[0]["probs"]) == {"cat": 0.666667, "dog": 0.333333}
    assert (row[0]["confidence"], dict(row[0]["ext"])) == (0.666667, {"answered": "3", "support": "2"})
    batch = fetch(lake, "select options_json from silver.batches where source = 'consensus animal'")[0]
    inputs = json.loads(batch["options_json"])["inputs"]
    assert (inputs["heard"], inputs["actors"], len(inputs["opinion_ids"])) == ("6", "3", 64)
    assert set(inputs) == {"opinions", "digest", "opinion_ids", "heard", "question", "actors"}
    actor = fetch(lake, "select params_json from silver.actors where kind = 'consensus'")
    assert json.loads(actor[0]["params_json"]) == {"method": "majority"}

    again = lh.consensus(lake, question="animal", method="majority")
    assert (again.counts["new"], again.counts["same"], again.rows_new) == (0, 3, 0)


def test_new_answers_change_what_they_decide_and_nothing_else(lake: Lake, clock: Clock) -> None:
    lh.consensus(lake, question="animal", method="majority")
    known = clock.now
    clock.forward(days=1)
    add_opinions(lake, [opinion("b", "human:dan", "dog"), opinion("c", "human:dan", "cat")])
    receipt = lh.consensus(lake, question="animal", method="majority")
    assert (receipt.counts["new"], receipt.counts["same"]) == (2, 1)
    assert said(lake) == [("a", "cat", None), ("b", "dog", None), ("c", None, "tie: cat 1, dog 1")]
    # What was known a day ago is another actor's: it takes nothing's place.
    past = lh.consensus(lake, question="animal", method="majority", known_at=known)
    assert said(lake, past.details["actor"]) == [("a", "cat", None), ("b", None, "tie: cat 1, dog 1"),
                                                 ("c", "dog", None)]  # fmt: skip
    assert said(lake)[1] == ("b", "dog", None)


def test_a_subject_whose_answers_were_taken_back_is_decided_no_longer(lake: Lake) -> None:
    lh.consensus(lake, question="animal", method="majority")
    gone = opinion("c", "human:ann", "dog")["opinion_id"]
    add_opinions(lake, [opinion("c", "human:ann", None, op="retract", target=str(gone))])
    lh.consensus(lake, question="animal", method="majority")
    assert said(lake)[2] == ("c", None, "no_answers")
    assert lh.consensus(lake, question="animal", method="majority").counts["new"] == 0


def test_no_consensus_is_heard_unless_it_is_named(lake: Lake) -> None:
    lh.consensus(lake, question="animal", method="majority", ties="lowest")
    assert lh.consensus(lake, question="animal", method="weighted").counts["heard"] == 6
    asked = lh.consensus(lake, question="animal", method="majority", kinds=["human", "consensus"])
    assert (asked.counts["heard"], asked.counts["actors"]) == (12, 5)
    # Never itself: it would agree with itself from the second run on.
    again = lh.consensus(lake, question="animal", method="majority", kinds=["human", "consensus"])
    assert (again.counts["heard"], again.counts["new"]) == (12, 0)


@pytest.mark.parametrize(
    ("ties", "expected"),
    [("lowest", ("cat", {"cat": 0.5, "dog": 0.5}, "cat | dog")), ("highest", ("dog", {"cat": 0.5, "dog": 0.5}, None)),
     ("shared", ("cat", {"cat": 0.5, "dog": 0.5}, "cat | dog"))],
)  # fmt: skip
def test_a_tie_is_settled_by_the_rule_that_is_stated(
    lake: Lake, ties: str, expected: tuple[str, dict[str, float], str | None]
) -> None:
    actor = lh.consensus(lake, question="animal", method="majority", ties=ties).details["actor"]
    row = fetch(lake, "select label, probs, ext from current_opinions where actor_id = $a and subject_id = $s",
                params={"a": actor, "s": entity_id("b")})[0]  # fmt: skip
    assert actor.startswith("consensus:majority@1-")
    assert (row["label"], dict(row["probs"])) == expected[:2]
    assert dict(row["ext"])["tied"] == "cat | dog"


def test_quorum_and_margin_leave_subjects_undecided(lake: Lake) -> None:
    actor = lh.consensus(lake, question="animal", method="majority", quorum=2, margin=0.5).details["actor"]
    assert said(lake, actor) == [("a", None, "margin: cat 2, dog 1"), ("b", None, "tie: cat 1, dog 1"),
                                 ("c", None, "quorum: dog 1")]  # fmt: skip


def test_what_an_expert_says_holds(lake: Lake) -> None:
    receipt = lh.consensus(lake, question="animal", method="majority", experts=["human:cyd", "human:bob"])
    assert said(lake, receipt.details["actor"]) == [("a", "dog", None), ("b", "cat", None), ("c", "dog", None)]


def test_rules_that_abstain_are_a_label_model(lake: Lake) -> None:
    rules = [("a", "tail", "cat"), ("a", "bark", None), ("a", "nose", "cat"), ("b", "tail", "cat"),
             ("b", "bark", "dog"), ("b", "nose", "cat")]  # fmt: skip
    add_opinions(lake, [opinion(name, f"rule:{who}", label) for name, who, label in rules])
    receipt = lh.consensus(lake, question="animal", method="weak-supervision")
    assert (receipt.counts["heard"], receipt.counts["actors"]) == (5, 3)
    assert said(lake, "consensus:weak-supervision@1") == [("a", "cat", None), ("b", "cat", None)]


def test_what_stays_undecided_is_escalated(lake: Lake, tmp_path: Path) -> None:
    place = tmp_path / "open.csv"
    lh.consensus(lake, question="animal", method="majority", escalate=place)
    with place.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows == [{"subject_id": entity_id("b"), "path": "", "reason": "tie", "answers": "2", "said": "cat 1, dog 1"}]
    with pytest.raises(ConfigError, match="ends in"):
        lh.consensus(lake, question="animal", method="majority", escalate=tmp_path / "open.txt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "majorty"}, "no method `majorty`"),
        ({"method": "boxes"}, "makes one of answers of kind regions"),
        ({"method": "majority", "min_iou": 0.6}, "takes no min_iou"),
        ({"method": "majority", "ties": "first"}, "one of lowest, highest, shared, abstain"),
        ({"method": "majority", "actors": ["human:anna"]}, "no answer of human:anna"),
        ({"method": "majority", "kinds": ["model"]}, "by an actor that is heard"),
        ({"method": "majority", "colour": 1}, "unknown option `colour`"),
    ],
)
def test_what_cannot_be_is_refused_by_name(lake: Lake, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        lh.consensus(lake, question="animal", **options)
    with pytest.raises(ConfigError, match="no question `animl`"):
        lh.consensus(lake, question="animl", method="majority")


def command(*arguments: str) -> int:
    return main(["consensus", *arguments])


def test_the_command_says_what_it_did(lake: Lake, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    shared: Sequence[str] = ("--lake", f"{lake.root}", "--question", "animal", "--set", "engine.workers=1")
    assert command(*shared, "--method", "majority", "--escalate", f"{tmp_path}/open.jsonl") == 0
    assert "3 subjects, 2 decided, 1 undecided, 3 new, 0 same" in capsys.readouterr().out
    assert json.loads((tmp_path / "open.jsonl").read_text())["said"] == "cat 1, dog 1"
    assert command(*shared, "--method", "majority", "--json") == 0
    assert json.loads(capsys.readouterr().out)["counts"]["new"] == 0
    assert command(*shared, "--method", "majority", "--trim", "0.2") == 1
