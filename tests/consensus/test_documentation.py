"""docs/consensus.md says what is so: its example runs, and its table names every method with what it takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import lakehouse as lh
from lakehouse.consensus.registry import METHODS
from lakehouse.opinions.questions import Question
from lakehouse.query import fetch
from tests.making import add_entities, entity_id, small_lake

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "consensus.md").read_text(encoding="utf-8")


def test_the_table_has_every_method_with_its_settings() -> None:
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]+) \| ([^|]*)\|", PAGE, re.MULTILINE)
    told = {name: (of, takes) for names, of, takes in rows for name in re.findall(r"`([\w-]+)`", names)}
    assert told.keys() == METHODS.keys()
    for name, method in METHODS.items():
        of, takes = told[name]
        assert set(of.split(", ")) == set(method.answers), name
        named = set(re.findall(r"\w[\w-]*", takes)) - {"quorum", "as"}
        shared = METHODS["one-coin"].takes if "one-coin" in named else ()
        assert (named | set(shared)) - {"one-coin"} == set(method.takes), name


def test_the_example_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0]
    with small_lake(tmp_path / "my_lake") as lake:
        add_entities(lake, ["a", "b"])
        said = [("a", "ann", "cat"), ("a", "bob", "cat"), ("b", "ann", "cat"), ("b", "bob", "dog")]
        rows = [{"entity_id": entity_id(name), "actor": f"human:{who}", "label": label} for name, who, label in said]
        lh.record_opinions(lake, rows, source="desk", question=Question(question_id="species", abstain_allowed=False))
    exec(compile(example.replace("my_lake", f"{tmp_path}/my_lake"), "docs/consensus.md", "exec"), {"__name__": "page"})
    assert "consensus [embedded]: 4 heard, 2 actors, 2 subjects, 2 decided, 0 undecided" in capsys.readouterr().out


def test_where_nobody_may_abstain_an_earlier_decision_is_taken_back(tmp_path: Path) -> None:
    with small_lake(tmp_path / "lake") as lake:
        add_entities(lake, ["a"])
        question = Question(question_id="species", abstain_allowed=False)

        def say(who: str, label: str) -> None:
            row = {"entity_id": entity_id("a"), "actor": f"human:{who}", "label": label}
            lh.record_opinions(lake, [row], source="desk", question=question)

        def decided() -> list[str]:
            rows = fetch(lake, "select label from current_opinions where actor_id = 'consensus:majority@1'")
            return [row["label"] for row in rows]

        say("ann", "cat")
        lh.consensus(lake, question="species", method="majority")
        assert decided() == ["cat"]
        say("bob", "dog")
        assert lh.consensus(lake, question="species", method="majority").counts["undecided"] == 1
        assert decided() == []
        assert lh.consensus(lake, question="species", method="majority").counts["new"] == 0
        say("cyd", "cat")
        lh.consensus(lake, question="species", method="majority")
        assert decided() == ["cat"]
