"""evaluate: numbers against hand-computed ones and scikit-learn's, by slice, with gates that decide."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from sklearn import metrics as sk

from jobs.evaluate import parse_gate
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.datasets.versions.find import find_dataset
from lakehouse.errors import ConfigError, RecipeError
from lakehouse.evaluation.evaluate import evaluate
from lakehouse.evaluation.gates import Gate
from lakehouse.query import fetch
from tests.making import START, add_dimension, add_entities, add_opinions, opinion, small_lake

MODEL = "model:cnn@1"
TRUTH = {"n0": "cat", "n1": "cat", "n2": "cat", "n3": "dog", "n4": "dog", "n5": "öwl"}
ANSWERS = {"n0": "cat", "n1": "dog", "n2": "cat", "n3": "dog", "n4": "emu"}  # nobody answered n5


def dataset(lake, truth: dict[str, str], **more) -> str:
    """A dataset version whose members are all in split test."""
    add_entities(lake, list(truth))
    add_opinions(lake, [opinion(name, "human:ada", label) for name, label in truth.items()])
    record = {"name": "zoo", "question": "animal", "split": {"ratios": {"test": 1.0, "train": 0.0}}} | more
    return build(lake, parse_recipe(record, where="zoo.toml")).details["dataset_id"]


def predict(lake, answers: dict[str, str], probs: dict | None = None, actor: str = MODEL) -> None:
    add_opinions(lake, [opinion(name, actor, label, probs=(probs or {}).get(name)) for name, label in answers.items()])


def score(lake, version: str, **more):
    return evaluate(lake, **({"dataset_id": version, "actor": MODEL, "question": "animal"} | more))


def measured(lake, receipt) -> dict[tuple[str, str], tuple[float | None, int]]:
    """(metric, slice) -> (value, support)."""
    rows = fetch(
        lake,
        "select metric, slice, value, support from gold.evaluations where evaluation_id = $id",
        params={"id": receipt.details["evaluation_id"]},
    )
    found = {(row["metric"], row["slice"]): (row["value"], row["support"]) for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """A lake with TRUTH and ANSWERS, shared by tests that only evaluate, and its dataset version."""
    with small_lake(tmp_path_factory.mktemp("zoo") / "lake") as shared:
        dataset_id = dataset(shared, TRUTH)
        predict(shared, ANSWERS)
        yield shared, dataset_id


# --------------------------------------------------------------------------------- numbers


def test_every_number_by_hand_where_a_missing_answer_counts_as_wrong(lake):
    dataset_id = dataset(lake, TRUTH)
    predict(lake, ANSWERS)
    receipt = score(lake, dataset_id)
    assert receipt.counts == {"members": 6, "answered": 5, "metrics": 18}
    assert receipt.details["accuracy"] == "0.5000"
    assert receipt.details["verdict"] == "none"
    third = 1 / 3
    assert measured(lake, receipt) == {
        ("accuracy", "all"): (0.5, 6),
        ("coverage", "all"): (pytest.approx(5 / 6), 6),
        ("log_loss", "all"): (None, 6),
        ("precision", "class=cat"): (1.0, 3),
        ("recall", "class=cat"): (pytest.approx(2 / 3), 3),
        ("f1", "class=cat"): (pytest.approx(0.8), 3),
        ("precision", "class=dog"): (0.5, 2),
        ("recall", "class=dog"): (0.5, 2),
        ("f1", "class=dog"): (0.5, 2),
        ("precision", "class=emu"): (0.0, 0),
        ("recall", "class=emu"): (None, 0),
        ("f1", "class=emu"): (0.0, 0),
        ("precision", "class=öwl"): (None, 1),
        ("recall", "class=öwl"): (0.0, 1),
        ("f1", "class=öwl"): (0.0, 1),
    } | {
        ("macro_precision", "all"): (pytest.approx((1 + 0.5 + 0) * third), 6),
        ("macro_recall", "all"): (pytest.approx((2 / 3 + 0.5 + 0) * third), 6),
        ("macro_f1", "all"): (pytest.approx((0.8 + 0.5 + 0) * third), 6),
    }


def test_the_loss_is_in_nats_and_no_probability_for_the_truth_costs_the_most(lake):
    dataset_id = dataset(lake, {"n0": "cat", "n1": "dog", "n2": "dog"})
    probs = {"n0": {"cat": 0.5, "dog": 0.5}, "n1": {"cat": 0.75, "dog": 0.25}, "n2": {"cat": 1.0}}
    predict(lake, {"n0": "cat", "n1": "cat", "n2": "cat"}, probs)
    value, support = measured(lake, score(lake, dataset_id))["log_loss", "all"]
    assert support == 3
    assert value == pytest.approx((math.log(2) + math.log(4) - math.log(1e-15)) / 3, abs=1e-8)


@pytest.mark.parametrize("seed", [0, 1])
def test_random_answers_measure_as_scikit_learn_measures_them(lake, seed):
    rng = np.random.default_rng(seed)
    labels = ["a", "b", "c", "d"]
    names = [f"r{number}" for number in range(200)]
    truth = {name: labels[rng.integers(3 + seed)] for name in names}
    probs = {name: dict(zip(labels, rng.dirichlet(np.ones(4)), strict=True)) for name in names}
    answers = {name: max(each, key=lambda label: each[label]) for name, each in probs.items()}
    dataset_id = dataset(lake, truth)
    predict(lake, answers, {name: {k: float(v) for k, v in each.items()} for name, each in probs.items()})
    found = {place: value for place, (value, _) in measured(lake, score(lake, dataset_id)).items()}
    expected, said = [truth[name] for name in names], [answers[name] for name in names]
    present = sorted(set(expected))
    assert found["accuracy", "all"] == pytest.approx(sk.accuracy_score(expected, said))
    matrix = np.array([[probs[name][label] for label in labels] for name in names])
    assert found["log_loss", "all"] == pytest.approx(sk.log_loss(expected, matrix, labels=labels), abs=1e-8)
    each = sk.precision_recall_fscore_support(expected, said, labels=present, zero_division=0)
    mean = sk.precision_recall_fscore_support(expected, said, labels=present, average="macro", zero_division=0)
    for metric, values, average in zip(("precision", "recall", "f1"), each, mean, strict=False):
        assert [found[metric, f"class={label}"] for label in present] == pytest.approx(values)
        assert found[f"macro_{metric}", "all"] == pytest.approx(average)


def test_an_actor_who_answered_about_no_member_is_an_error_and_not_an_accuracy_of_zero(lake):
    dataset_id = dataset(lake, TRUTH)
    predict(lake, {"elsewhere": "cat"})
    with pytest.raises(ConfigError, match="model:cnn@1 answered `animal` about none of the 6 labelled members"):
        score(lake, dataset_id)
    assert fetch(lake, "select * from gold.evaluations") == []


# --------------------------------------------------------------------------------- whose answers, which members


def test_only_the_current_answer_of_the_actor_to_the_question_counts(lake):
    dataset_id = dataset(lake, {"n0": "cat", "n1": "cat"})
    predict(lake, {"n0": "cat", "n1": "dog"}, actor="model:cnn@2")
    add_opinions(
        lake,
        [
            opinion("n0", MODEL, "cat", event_time=START.replace(year=2024)),
            opinion("n0", MODEL, "dog", event_time=START),
            opinion("n1", MODEL, "cat", question="other"),
            opinion("n1", MODEL, None),
        ],
    )
    assert measured(lake, score(lake, dataset_id))["accuracy", "all"] == (0.0, 2)
    assert measured(lake, score(lake, dataset_id))["coverage", "all"] == (0.5, 2)


def test_answers_in_several_slots_count_a_member_once(lake):
    dataset_id = dataset(lake, {"n0": "cat", "n1": "dog"})
    add_opinions(
        lake,
        [
            opinion("n0", MODEL, "dog", slot="seed1", event_time=START.replace(year=2024)),
            opinion("n0", MODEL, "cat", slot="seed2", event_time=START),
            opinion("n1", MODEL, "dog", slot="seed1", event_time=START),
        ],
    )
    assert measured(lake, score(lake, dataset_id))["accuracy", "all"] == (1.0, 2)


def test_only_the_asked_split_is_scored(lake):
    truth = {f"r{number}": "cat" for number in range(40)}
    dataset_id = dataset(lake, truth, split={"ratios": {"train": 0.5, "test": 0.5}})
    predict(lake, truth)
    sizes = {split: score(lake, dataset_id, split=split).counts["members"] for split in ("train", "test")}
    assert sum(sizes.values()) == 40
    assert min(sizes.values()) > 5


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"split": "tset"}, "{id} has no member in a split `tset`; did you mean `test`"),
        ({"split": "train"}, "{id} has no member in a split `train`; known: test"),
        ({"dataset_id": "0" * 32}, "no dataset `0000"),
    ],
)
def test_nothing_to_evaluate_on_is_an_error_that_names_dataset_and_split(lake, more, message):
    dataset_id = dataset(lake, {"n0": "cat"})
    predict(lake, {"n0": "cat"})
    with pytest.raises((ConfigError, RecipeError), match=message.format(id=dataset_id)):
        score(lake, dataset_id, **more)
    assert fetch(lake, "select * from gold.evaluations") == []


def test_predictions_that_answer_another_question_than_the_labels_are_noted(lake):
    dataset_id = dataset(lake, {"n0": "cat"})
    add_opinions(lake, [opinion("n0", MODEL, "cat", question="beast")])
    receipt = score(lake, dataset_id, question="beast")
    assert [(note.rule, note.example) for note in receipt.notes] == [
        ("other_question", "the labels of the dataset answer `animal`, the predictions `beast`")
    ]
    predict(lake, {"n0": "cat"})
    assert score(lake, dataset_id).notes == ()


def test_an_actor_that_nobody_knows_is_an_error_that_names_the_nearest(lake):
    dataset_id = dataset(lake, {"n0": "cat"})
    predict(lake, {"n0": "cat"}, actor="model:cnn@2")
    with pytest.raises(ConfigError, match=r"no actor `model:cn@2` .*did you mean `model:cnn@2`"):
        score(lake, dataset_id, actor="model:cn@2")


def test_a_question_that_nobody_answered_is_an_error_that_names_the_nearest(lake):
    dataset_id = dataset(lake, {"n0": "cat"})
    predict(lake, {"n0": "cat"})
    with pytest.raises(ConfigError, match=r"nobody ever answered question `animl` .*did you mean `animal`"):
        score(lake, dataset_id, question="animl")


# --------------------------------------------------------------------------------- slices


def test_a_slice_by_column_has_one_part_for_every_value_also_for_none(lake):
    add_entities(lake, ["n0"], origins={"n0": "synthetic"})
    dataset_id = dataset(lake, TRUTH)
    predict(lake, ANSWERS)
    add_dimension(lake, "width", {"n0": 8, "n1": 8, "n2": 9}, kind="integer", extractor="image_header")
    found = measured(lake, score(lake, dataset_id, slices=["origin", "width"]))
    assert found["accuracy", "origin=synthetic"] == (1.0, 1)
    assert found["accuracy", "origin=real"] == (pytest.approx(0.4), 5)
    assert found["accuracy", "width=8"] == (0.5, 2)
    assert found["accuracy", "width=9"] == (1.0, 1)
    assert found["accuracy", "width=none"] == (pytest.approx(1 / 3), 3)
    assert found["coverage", "width=none"] == (pytest.approx(2 / 3), 3)


def test_groups_by_rank_are_of_equal_size_and_the_first_has_the_smallest_values(lake):
    names = [f"r{number}" for number in range(10)]
    values = dict(zip(names, [5, 5, 5, 1, 2, 3, 4, 9], strict=False))
    dataset_id = dataset(lake, dict.fromkeys(names, "cat"))
    predict(lake, {name: "cat" if values.get(name, 0) < 5 else "dog" for name in names})
    add_dimension(lake, "brightness", values)
    found = measured(lake, score(lake, dataset_id, slices=["brightness:4"]))
    assert {place[1]: entry for place, entry in found.items() if place[0] == "accuracy"} == {
        "all": (0.6, 10),
        "brightness=q1": (1.0, 2),
        "brightness=q2": (1.0, 2),
        "brightness=q3": (0.0, 2),
        "brightness=q4": (0.0, 2),
        "brightness=none": (1.0, 2),
    }


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        (["widht"], r"no column `widht`.*`width`"),
        (["width) from x --"], "expected COLUMN or COLUMN:GROUPS"),
        (["width:0"], "expected COLUMN or COLUMN:GROUPS"),
        (["width:x"], "expected COLUMN or COLUMN:GROUPS"),
        ([""], "expected COLUMN or COLUMN:GROUPS"),
        (["brightness"], "kind number; slice it in groups, as brightness:4"),
        (["created_at"], "kind timestamp"),
        (["group_keys:3"], "kind map"),
        (["brightness:4", "brightness:5"], "`brightness` twice"),
    ],
)
def test_a_slice_that_cannot_be_made_is_an_error_that_says_why(zoo, slices, message):
    with pytest.raises(ConfigError, match=message):
        score(*zoo, slices=slices)


def test_any_column_of_text_or_whole_numbers_makes_a_slice_also_those_the_query_has(zoo):
    columns = ["entity_id", "media_type", "size_bytes", "origin", "storage"]
    found = measured(zoo[0], score(*zoo, slices=columns))
    parts = [where.partition("=")[0] for metric, where in found if metric == "accuracy"]
    assert {column: parts.count(column) for column in columns} == {
        "entity_id": 6,
        "media_type": 1,
        "size_bytes": 1,
        "origin": 1,
        "storage": 1,
    }


# --------------------------------------------------------------------------------- gates


def alone(*args, **more) -> Gate:
    """A gate that the number alone decides."""
    return Gate(*args, **more, confidence=0)


@pytest.mark.parametrize(
    ("gate", "verdict"),
    [
        (alone("accuracy", ">=", 0.5, min_support=6), "pass"),
        (alone("accuracy", ">=", 0.51, min_support=6), "fail"),
        (alone("accuracy", "<=", 0.5, min_support=6), "pass"),
        (alone("accuracy", "<=", 0.49, min_support=6), "fail"),
        (alone("accuracy", ">=", 0.5, min_support=7), "inconclusive"),
        (alone("accuracy", ">=", 0.99, min_support=7), "inconclusive"),
        (alone("recall", ">=", 0.5, slice="class=cat", min_support=3), "pass"),
        (alone("recall", ">=", 0.7, slice="class=cat", min_support=3), "fail"),
        (alone("recall", ">=", 0.1, slice="class=emu", min_support=0), "inconclusive"),
    ],
)
def test_a_gate_decides(zoo, gate, verdict):
    receipt = score(*zoo, gates=[gate])
    assert receipt.details["verdict"] == verdict
    text = """select metric, slice, operator, threshold, min_support, verdict from gold.evaluations
              where verdict <> 'none' and evaluation_id = $id"""
    rows = fetch(zoo[0], text, params={"id": receipt.details["evaluation_id"]})
    assert rows == [
        {
            "metric": gate.metric,
            "slice": gate.slice,
            "operator": gate.operator,
            "threshold": gate.threshold,
            "min_support": gate.min_support,
            "verdict": verdict,
        }
    ]


@pytest.mark.parametrize(
    ("slices", "gate", "message"),
    [
        ((), Gate("acuracy", ">=", 0.1), r"no such metric; did you mean `accuracy`\? \(known: accuracy, coverage"),
        ((), Gate("bleu", ">=", 0.1), r"no such metric; known: accuracy.*macro_f1"),
        (
            (),
            Gate("recall", ">=", 0.1),
            r"computed by class; say which, as recall>=0.9@class=cat, or take macro_recall",
        ),
        ((), Gate("recall", ">=", 0.1, slice="origin=real"), r"computed by class"),
        ((), Gate("macro_f1", ">=", 0.1, slice="class=cat"), r"a mean over all classes; leave out @class=cat"),
        ((), Gate("accuracy", ">=", 0.1, slice="class=cat"), r"by class there are precision, recall, f1"),
        ((), Gate("accuracy", ">=", 0.1, slice="origin=real"), r"nothing is sliced by `origin`; add --slice origin"),
        (
            ("origin",),
            Gate("accuracy", ">=", 0.1, slice="orign=real"),
            r"sliced by `orign`; .*\(given: --slice origin\)",
        ),
        (
            ("origin",),
            Gate("accuracy", ">=", 0.1, slice="origin=rael"),
            r"no member has this origin; did you mean `real`",
        ),
        ((), Gate("recall", ">=", 0.1, slice="class=cta"), r"no such class; did you mean `cat`\? \(known: cat, dog"),
        ((), Gate("recall", ">=", 0.1, slice="class=zzz"), r"no such class; known: cat, dog, emu, öwl"),
    ],
)
def test_a_gate_on_what_there_is_not_is_an_error_that_names_what_there_is(zoo, slices, gate, message):
    before = fetch(zoo[0], "select count(*) as n from gold.evaluations")
    with pytest.raises(ConfigError, match=message):
        score(*zoo, slices=slices, gates=[gate])
    assert fetch(zoo[0], "select count(*) as n from gold.evaluations") == before


def test_a_gate_on_a_class_of_the_dataset_without_a_member_in_the_split_fails(lake):
    truth = {f"r{number}": "cat" if number < 39 else "dog" for number in range(40)}
    dataset_id = dataset(lake, truth, split={"ratios": {"train": 0.5, "test": 0.5}})
    predict(lake, {name: "cat" for name in truth})
    gate = Gate("recall", ">=", 0.1, slice="class=dog")
    found = {score(lake, dataset_id, split=split, gates=[gate]).details["verdict"] for split in ("train", "test")}
    assert found == {"fail", "inconclusive"}


def test_the_worst_gate_decides_over_all(zoo):
    good, unsure, bad = (
        Gate("accuracy", ">=", 0.1, min_support=1),
        Gate("coverage", ">=", 0.1, min_support=99),
        Gate("macro_f1", ">=", 0.99, min_support=1),
    )
    assert score(*zoo, gates=[good]).details["verdict"] == "pass"
    assert score(*zoo, gates=[good, unsure]).details["verdict"] == "inconclusive"
    assert score(*zoo, gates=[unsure, bad, good]).details["verdict"] == "fail"


def test_two_gates_on_one_number_are_refused_and_none_is_dropped(zoo):
    gates = [Gate("accuracy", ">=", 0.9), Gate("accuracy", "<=", 0.99)]
    with pytest.raises(ConfigError, match="two gates on accuracy of all"):
        score(*zoo, gates=gates)


@pytest.mark.parametrize(("operator", "threshold"), [(">", 0.5), ("=", 0.5), ("", 0.5), (">=", math.nan)])
def test_a_gate_that_cannot_decide_is_refused(operator, threshold):
    with pytest.raises(ConfigError, match="gate on accuracy"):
        Gate("accuracy", operator, threshold)


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("accuracy>=0.97", Gate("accuracy", ">=", 0.97, min_support=5)),
        (" log_loss <= 1 ", Gate("log_loss", "<=", 1.0, min_support=5)),
        ("recall>=.9@class=3", Gate("recall", ">=", 0.9, "class=3", 5)),
        ("recall >= 0.9 @ class=polar bear", Gate("recall", ">=", 0.9, "class=polar bear", 5)),
        ("accuracy>=1e-3@origin=real", Gate("accuracy", ">=", 0.001, "origin=real", 5)),
    ],
)
def test_a_gate_is_read_from_text(text, gate):
    assert parse_gate(text, min_support=5) == gate


@pytest.mark.parametrize(
    "text",
    [
        "",
        "accuracy",
        "accuracy>0.9",
        "accuracy>=",
        "accuracy>=1.2.3",
        ">=0.5",
        "accuracy>=.",
        "accuracy>=nan",
        "accuracy>=0.5@",
    ],
)
def test_a_gate_of_another_form_is_an_error_that_shows_it(text):
    with pytest.raises(ConfigError, match=r"--gate .*METRIC>=VALUE"):
        parse_gate(text, min_support=5)


# --------------------------------------------------------------------------------- how sure


@pytest.fixture(scope="module")
def herd(tmp_path_factory):
    """100 members; model 1 is right about 70, model 2 about the same and 10 more."""
    truth = {f"r{number:03}": ("cat", "dog")[number % 2] for number in range(100)}
    other = {"cat": "dog", "dog": "cat"}
    with small_lake(tmp_path_factory.mktemp("herd") / "lake") as shared:
        dataset_id = dataset(shared, truth)
        for actor, right in ((MODEL, 70), ("model:cnn@2", 80)):
            said = {name: label if place < right else other[label] for place, (name, label) in enumerate(truth.items())}
            sure = {name: {label: 0.75, other[label]: 0.25} for name, label in said.items()}
            predict(shared, said, sure, actor=actor)
        yield shared, dataset_id


@pytest.mark.parametrize(("limit", "verdict"), [(0.55, "pass"), (0.85, "fail"), (0.65, "inconclusive"),
                                                (0.75, "inconclusive")])  # fmt: skip
def test_a_limit_within_the_interval_of_the_number_is_inconclusive(herd, limit, verdict):
    receipt = score(*herd, gates=[Gate("accuracy", ">=", limit)])
    found = measured(herd[0], receipt)
    low, high = (found[f"accuracy_{end}", "all"][0] for end in ("low", "high"))
    # Of 70 of 100 the normal interval is 0.61 to 0.79; the same dice give the same ends on every machine.
    assert (low, high) == (pytest.approx(0.61, abs=0.015), pytest.approx(0.79, abs=0.015))
    assert receipt.details["verdict"] == verdict
    opposite = {"pass": "fail", "fail": "pass", "inconclusive": "inconclusive"}[verdict]
    assert score(*herd, gates=[Gate("accuracy", "<=", limit)]).details["verdict"] == opposite


def test_a_gate_on_a_class_is_resampled_over_all_members(herd):
    receipt = score(*herd, gates=[Gate("recall", ">=", 0.7, slice="class=cat")])
    assert receipt.details["verdict"] == "inconclusive"
    low, high = (measured(herd[0], receipt)[f"recall_{end}", "class=cat"][0] for end in ("low", "high"))
    assert low < 0.7 < high


def test_another_model_is_compared_on_the_same_members(herd):
    gates = [Gate("accuracy_gain", ">=", 0.0), alone("accuracy_gain", "<=", 0.5)]
    with pytest.raises(ConfigError, match="two gates on accuracy_gain"):
        score(*herd, actor="model:cnn@2", against=MODEL, gates=gates)
    receipt = score(*herd, actor="model:cnn@2", against=MODEL, gates=gates[:1])
    found = measured(herd[0], receipt)
    assert found["accuracy_gain", "all"] == (pytest.approx(0.1), 100)
    low, high = (found[f"accuracy_gain_{end}", "all"][0] for end in ("low", "high"))
    # Both are right about the same 70, so that the difference is surer than each of them: 0.1 +- 0.06.
    assert (low, high) == (pytest.approx(0.04, abs=0.02), pytest.approx(0.16, abs=0.02))
    assert receipt.details["verdict"] == "pass"
    assert receipt.details["accuracy_gain"].startswith("+0.1000 (+0.0")
    worse = score(*herd, against="model:cnn@2", gates=[Gate("accuracy_gain", ">=", 0.0)])
    assert worse.details["verdict"] == "fail"
    same = score(*herd, against=MODEL, gates=[Gate("accuracy_gain", ">=", 0.0)])
    assert (same.details["verdict"], same.details["accuracy_gain"]) == ("pass", "+0.0000 (+0.0000 to +0.0000)")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"gates": [Gate("accuracy_gain", ">=", 0.0)]}, "gate on accuracy_gain: say against whom: --against"),
        ({"against": "model:cnn@3"}, "no actor `model:cnn@3` ever answered"),
        ({"against": MODEL, "gates": [Gate("recall_gain", ">=", 0.0, slice="class=cat")]}, "over all members alone"),
        ({"against": MODEL, "gates": [Gate("acuracy_gain", ">=", 0.0)]}, "gate on acuracy_gain: no such metric"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(herd, more, message):
    with pytest.raises(ConfigError, match=message):
        score(*herd, **({"actor": "model:cnn@2"} | more))


def test_probabilities_are_judged_by_how_far_they_can_be_believed(herd):
    found = measured(herd[0], score(*herd))
    # All are 0.75 sure and 70 of 100 are right; right ones cost 2 * 0.25², wrong ones 2 * 0.75².
    assert found["ece", "all"] == (pytest.approx(0.05), 100)
    assert found["brier", "all"] == (pytest.approx(0.7 * 0.125 + 0.3 * 1.125), 100)


# --------------------------------------------------------------------------------- again


def test_the_same_evaluation_again_adds_nothing_and_another_does(lake, clock):
    dataset_id = dataset(lake, TRUTH)
    predict(lake, ANSWERS)
    first = score(lake, dataset_id)
    clock.forward(days=1)
    again = score(lake, dataset_id)
    assert (again.details, again.counts, again.rows_new) == (first.details, first.counts, 0)
    for note in (lake.runs / "fresh").iterdir():
        note.unlink()
    assert score(lake, dataset_id).rows_new == 0
    predict(lake, {"n5": "öwl"})
    changed = score(lake, dataset_id)
    assert changed.details["evaluation_id"] != first.details["evaluation_id"]
    assert changed.rows_new > 0


def test_the_order_of_the_answers_changes_no_number(tmp_path):
    ids = set()
    for place in range(2):
        names = [f"r{number}" for number in range(30)]
        random.Random(place).shuffle(names)
        with small_lake(tmp_path / str(place)) as lake:
            truth = {name: "cat" if name < "r2" else "dog" for name in names}
            dataset_id = dataset(lake, truth)
            third = {"cat": 1 / 3, "dog": 2 / 3}
            predict(lake, dict.fromkeys(names, "dog"), dict.fromkeys(names, third))
            ids.add(score(lake, dataset_id).details["evaluation_id"])
    assert len(ids) == 1


@pytest.mark.parametrize("metric", ["accuracy", "coverage", "recall", "macro_f1"])
def test_a_limit_on_a_share_that_is_written_as_a_percentage_is_refused(metric):
    with pytest.raises(ConfigError, match=rf"gate on {metric}: threshold 97, .* within 0\.\.1; did you mean 0\.97\?"):
        Gate(metric, ">=", 97)
    assert Gate("log_loss", "<=", 2.5).threshold == 2.5


def test_a_dataset_of_a_similar_name_is_named_where_there_is_none(zoo):
    with pytest.raises(RecipeError, match="no dataset `zooo` in .*; did you mean `zoo`; known: zoo; make it with"):
        find_dataset(zoo[0], "zooo")
