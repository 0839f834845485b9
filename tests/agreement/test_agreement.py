"""What `petrel agreement` tells of a lake: figures, actors, candidates for wrong labels, a page of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import lakehouse as lh
from jobs.cli import main
from lakehouse.datasets.policies.embedding import embedding_ref
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from tests.making import START, add_entities, add_opinions, entity_id, opinion, small_lake

NAMES = [f"{n}" for n in range(8)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """Ann and bob are right, cyd says dog to everything but is asked less; gold knows."""
    rows = []
    for n, name in enumerate(NAMES):
        real = "cat" if n % 2 else "dog"
        times = [START + timedelta(days=20 * n, seconds=30 * place) for place in range(2)]
        rows += [opinion(name, "human:ann", real, event_time=times[0]), opinion(name, "human:bob<b>", real)]
        rows.append(opinion(name, "human:gold", real))
        if n < 6:
            rows.append(opinion(name, "human:cyd", "dog"))
    rows.append(opinion("7", "human:cyd", None))
    for row in rows:
        if row["actor_id"] == "human:bob<b>":
            row["ext"] = {"lead_time": "12.5", "cost": "0.25"}
    with small_lake(tmp_path_factory.mktemp("agreement") / "lake") as found:
        add_entities(found, NAMES)
        add_opinions(found, rows)
        regions = [
            ("0", "human:ann", [box(0, 0), box(50, 50)]), ("0", "human:bob", [box(1, 0), box(80, 80, "rbc")]),
            ("1", "human:ann", []), ("1", "human:bob", []), ("2", "human:ann", [box(95, 0)]),
        ]  # fmt: skip
        said = [{"entity_id": entity_id(name), "actor": who, "regions": shapes, "frame_w": 100, "frame_h": 100}
                for name, who, shapes in regions]  # fmt: skip
        lh.record_opinions(found, said, source="boxes", question=lh_question("cells"))
        yield found


def lh_question(name: str) -> object:
    from lakehouse.opinions.questions import Question

    return Question(question_id=name, answer_kind="regions")


def box(x: float, y: float, label: str = "wbc") -> dict[str, object]:
    return {"kind": "box", "label": label, "x": x, "y": y, "w": 10, "h": 10}


def test_actors_are_compared_with_gold_answers(lake: Lake) -> None:
    found = lh.agreement(lake, question="animal", reference="human:gold")
    by_name = {each.actor: each for each in found.actors}
    assert (found.subjects, found.answers, found.unanimous, found.labels) == (8, 22, 0.625, {"cat": 8, "dog": 14})
    cyd = by_name["human:cyd"]
    assert (cyd.answers, cyd.abstained, cyd.compared, cyd.accuracy, cyd.unanimous) == (6, 1, 6, 0.5, 0.5)
    assert cyd.confusion == (("cat", "dog", 3),)
    bob = by_name["human:bob<b>"]
    assert (bob.accuracy, bob.seconds, bob.seconds_from, bob.cost) == (1.0, 12.5, "stated", 2.0)
    assert [(day, n) for day, n, _ in by_name["human:ann"].drift] == [
        ("2026-01-01", 2), ("2026-02-10", 1), ("2026-03-02", 2), ("2026-04-11", 1), ("2026-05-01", 2),
    ]  # fmt: skip
    pair = {(each.one, each.other): (each.units, each.agreed, each.kappa) for each in found.pairs}
    assert pair["human:ann", "human:cyd"] == (6, 0.5, 0.0)
    assert pair["human:ann", "human:bob<b>"] == (8, 1.0, 1.0)
    assert found.fleiss_reason == "units have 2 to 3 answers; it needs the same number on each"


def test_without_gold_each_is_compared_with_the_others(lake: Lake) -> None:
    found = lh.agreement(lake, question="animal")
    assert {each.actor: each.accuracy for each in found.actors} == {
        "human:ann": 1.0, "human:bob<b>": 1.0, "human:cyd": 0.5, "human:gold": 1.0,
    }  # fmt: skip
    assert [(each.rule, each.actor) for each in found.doubts] == [("far_from_votes", "human:cyd")] * 3
    assert found.alpha is not None
    assert lh.agreement(lake, question="animal", actors=["human:ann", "human:gold"]).alpha == 1.0


def test_boxes_are_matched(lake: Lake) -> None:
    found = lh.agreement(lake, question="cells")
    assert (found.subjects, found.f1) == (3, 0.5)
    assert found.mean_iou == pytest.approx(90 / 110)
    assert [(each.units, each.agreed) for each in found.pairs] == [(2, 0.5)]
    assert [(each.rule, each.score) for each in found.doubts] == [("outside_frame", 5.0)]
    bob = next(each for each in found.actors if each.actor == "human:bob")
    assert bob.accuracy == 0.75


def test_labels_far_from_those_of_the_nearest_things_are_candidates(lake: Lake) -> None:
    # To a model 1 looks as the dogs do, and ann says that it is a cat.
    rows = [{"entity_id": entity_id(name), "value_kind": "embedding", "value_ref": embedding_ref([1.0, 0.1 * place])}
            for place, name in enumerate("02461")]  # fmt: skip
    lh.record_opinions(lake, rows, source="clip", question="clip", actor="model:clip@1")
    found = lh.agreement(lake, question="animal", actors=["human:ann"], neighbours="clip")
    doubted = [(each.rule, each.actor, each.item, each.score) for each in found.doubts]
    assert doubted == [("far_from_neighbours", "human:ann", entity_id("1"), 1.0)]
    assert found.notes == ["3 subjects have no neighbours: nothing is known of them by clip"]
    for options, message in [({"neighbours": "dhash"}, "none of the 8 subjects has an embedding by 'dhash'"),
                             ({"neighbours": "clop"}, "has an embedding by 'clop'")]:  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            lh.agreement(lake, question="animal", **options)


def test_what_cannot_be_is_refused_by_name(lake: Lake) -> None:
    for options, message in [
        ({"level": "metric"}, "one of nominal"), ({"level": "interval"}, "needs numbers"),
        ({"reference": "human:golf"}, "did you mean|human:gold"), ({"kinds": ["model"]}, "no actor that is asked for"),
        ({"kinds": ["people"]}, "no kind of actor"), ({"window_days": 0}, "must be 1 or more"),
    ]:  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            lh.agreement(lake, question="animal", **options)


def test_the_command_writes_a_page_that_needs_nothing_else(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "report.html"
    shared = ["agreement", "--lake", f"{lake.root}", "--question", "animal", "--set", "engine.workers=1"]
    assert main([*shared, "--reference", "human:gold", "--html", f"{place}"]) == 0
    told = capsys.readouterr().out
    assert "Krippendorff's alpha (nominal)" in told
    assert "human:cyd" in told
    text = place.read_text()
    assert text.count("<svg") >= 4
    assert "human:bob&lt;b&gt;" in text
    assert "bob<b>" not in text
    assert "http:" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https:" not in text
    assert "<script" not in text
    assert main([*shared, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unanimous"] == 0.625
