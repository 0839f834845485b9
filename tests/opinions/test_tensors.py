"""Predictions come from tensors and data frames; questions and actors are registered before anybody answers."""

from __future__ import annotations

import numpy as np
import pytest

from lakehouse.errors import ConfigError
from lakehouse.opinions.actors import Actor
from lakehouse.opinions.questions import Question
from lakehouse.opinions.register import register_actor, register_question
from lakehouse.opinions.step import record_opinions
from lakehouse.opinions.tensors import from_boxes, from_logits, from_numbers, from_probabilities
from lakehouse.query import fetch
from tests.making import entity_id
from tests.opinions.making import counts, versions

IDS = [entity_id("cat/1.jpg"), entity_id("dog/3.jpg")]


class Tensor:
    """What torch's tensors are to NumPy: refused while they have a gradient or lie elsewhere."""

    def __init__(self, values: object, *, ready: bool = False) -> None:
        self.values, self.ready = np.asarray(values, dtype=np.float32), ready

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return Tensor(self.values, ready=True)

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        assert self.ready
        return self.values.astype(dtype)


def test_logits_become_whole_distributions(photos):
    logits = Tensor([[0.0, np.log(3.0)], [1000.0, 0.0]])
    model = {"source": "cnn", "question": "animal", "actor": "model:cnn@1"}
    assert record_opinions(photos, from_logits(IDS, logits, ["cat", "dog"]), **model).counts == counts(read=2, new=2)
    rows = fetch(photos, "select subject_id, label, probs from current_opinions")
    found = {row["subject_id"]: (row["label"], dict(row["probs"])["cat"]) for row in rows}
    assert found[IDS[0]] == ("dog", pytest.approx(0.25))
    assert found[IDS[1]] == ("cat", 1.0)
    rows = list(from_logits(IDS, [[2.0, -2.0], [3.0, 3.0]], ["cat", "dog"], multi_label=0.5))
    assert [row["labels"] for row in rows] == [["cat"], ["cat", "dog"]]
    assert [row["number"] for row in from_numbers(IDS, Tensor([0.5, 2.0]))] == [0.5, 2.0]


def test_boxes_of_a_detector_become_regions_and_none_is_an_answer(photos):
    said = [{"boxes": Tensor([[1, 2, 4, 6], [0, 0, 1, 1]]), "labels": Tensor([1, 0]), "scores": Tensor([0.75, 0.25])},
            {"boxes": Tensor(np.zeros((0, 4))), "labels": Tensor([]), "scores": Tensor([])}]  # fmt: skip
    rows = list(from_boxes(IDS, said, ["cat", "dog"], min_score=0.5))
    assert rows == [
        {"entity_id": IDS[0],
         "regions": [{"kind": "box", "label": "dog", "x": 1.0, "y": 2.0, "w": 3.0, "h": 4.0, "score": 0.75}]},
        {"entity_id": IDS[1], "regions": []},
    ]  # fmt: skip
    assert record_opinions(photos, rows, source="det", question="b", actor="model:det@1").counts["new"] == 2


@pytest.mark.parametrize("bad", [
    lambda: from_logits(IDS, [[1.0, 2.0]], ["cat", "dog"]), lambda: from_probabilities(IDS, [[1], [2]], ["cat", "dog"]),
    lambda: from_logits(IDS, [[1.0, np.nan]] * 2, ["cat", "dog"]), lambda: from_boxes(IDS, [], ["cat"]),
    lambda: from_boxes(IDS[:1], [{"boxes": [[0, 0, 1, 1]], "labels": [7]}], ["cat"]),
    lambda: from_boxes(IDS[:1], [{"boxes": [[0, 0, 1, 1]], "labels": [0, 0]}], ["cat"]),
    lambda: from_boxes(IDS, [], ["cat"], box_format="cxcywh"),
])  # fmt: skip
def test_tensors_that_do_not_fit_are_refused(bad):
    with pytest.raises(ConfigError):
        list(bad())


def test_a_data_frame_gives_the_same_opinions_as_mappings(photos):
    pandas = pytest.importorskip("pandas")
    rows = [
        {"entity_id": IDS[0], "label": "cat", "probabilities": {"cat": 0.75, "dog": 0.25}, "confidence": None},
        {"entity_id": IDS[1], "label": "dog", "probabilities": None, "confidence": 0.5},
    ]
    plain = [{name: value for name, value in row.items() if value is not None} for row in rows]
    model = {"source": "cnn", "question": "animal", "actor": "model:cnn@1"}
    assert record_opinions(photos, plain, **model).counts == counts(read=2, new=2)
    frame = pandas.DataFrame(rows)
    assert record_opinions(photos, frame, **model).counts == counts(read=2, same=2)
    regions = [{"kind": "box", "label": "x", "x": 1.0, "y": 2.0, "w": 3.0, "h": 4.0}]
    boxes = pandas.DataFrame({"entity_id": IDS, "regions": [regions, []]})
    assert record_opinions(photos, boxes, source="b", question="b", actor="model:b@1").counts == counts(read=2, new=2)


def test_questions_and_actors_are_registered_once_and_mean_one_thing(photos):
    question = Question(question_id="animal", labels=("cat", "dog"), synonyms={"Cat": "cat"})
    assert register_question(photos, question).counts == {"questions": 1, "labels": 2}
    actor = Actor(kind="model", name="cnn", version="1", params={"lr": 0.1})
    assert register_actor(photos, actor).counts == {"actors": 1, "same": 0}
    before = versions(photos)
    assert register_question(photos, question).counts == {"questions": 0, "labels": 0}
    assert register_actor(photos, actor).counts == {"actors": 0, "same": 1}
    assert versions(photos) == before
    with pytest.raises(ConfigError, match="a changed meaning is a new version"):
        register_question(photos, Question(question_id="animal", answer_kind="number"))
    with pytest.raises(ConfigError, match="raise its version"):
        register_actor(photos, Actor(kind="model", name="cnn", version="1", params={"lr": 0.2}))
    row = {"entity_id": IDS[0], "label": "Cat"}
    record_opinions(photos, [row], source="ann", question="animal", actor="human:ann")
    assert fetch(photos, "select label from current_opinions") == [{"label": "cat"}]
