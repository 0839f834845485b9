"""From a published dataset to a verdict: train once, write the predictions back as opinions, evaluate.

torch is imported when there is something to train, and only then.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from examples.demo.card import PREDICTIONS, Card, find_card, folder_of, key_of
from examples.demo.plan import Plan
from examples.demo.steps import Say, config_for
from jobs.evaluate import parse_gate
from jobs.output import say as say_line
from lakehouse.evaluation.evaluate import evaluate
from lakehouse.lake import Lake
from lakehouse.opening import open_lake
from lakehouse.opinions.step import record_opinions
from lakehouse.steps.receipts import Receipt
from loaders import ReadOptions, make_reader

MIN_SUPPORT = 30
"""Test images that a gate needs to decide."""

SPEED_SECONDS = 5.0
"""Measuring the loader takes no longer, s."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What came out of learning.

    Attributes:
        card: The model.
        trained: Whether it was trained now; False if it was there.
        evaluation_id: Its evaluation.
        verdict: pass, fail, inconclusive or none.
    """

    card: Card
    trained: bool
    evaluation_id: str
    verdict: str


def why_no_training(plan: Plan) -> str | None:
    """Return why no model is trained; None if one is."""
    if not plan.question:
        return "the dataset asks no question, so there is no label to learn"
    if find_spec("torch") is None:
        return "torch is not installed; run: pip install 'petrel-lakehouse[train]'"
    return None


def learn(plan: Plan, address: str | Path, dataset_id: str, *, say: Say) -> Learnt:
    """Train where it was not done yet, record the predictions and evaluate them; no JVM is involved."""
    models = plan.home / "models"
    with open_lake(config_for(address)) as lake:
        card = find_card(models, key_of(dataset_id, plan.settings))
        trained = card is None
        if card is None:
            from examples.demo.train import train

            card = train(f"{lake.home}/datasets/{plan.name}/{dataset_id}", models, plan.settings)
            say_line(f"train: {card.actor}, {plan.settings.epochs} epochs; {card.seconds:.1f} s")
        else:
            say_line(f"train: {card.actor} was trained on this dataset version with these settings; nothing to do")
        say(_record(lake, plan, card, folder_of(models, card) / PREDICTIONS))
        receipt = evaluate(
            lake,
            dataset_id=dataset_id,
            actor=card.actor,
            question=plan.question,
            slices=plan.slices,
            gates=[parse_gate(text, min_support=MIN_SUPPORT) for text in plan.gates],
        )
        say(receipt)
    return Learnt(card, trained, receipt.details["evaluation_id"], receipt.details["verdict"])


def loader_speed(folder: str) -> float:
    """Return the decoded images per second that the reader delivers from a split, starting included."""
    delivered, started = 0, time.monotonic()
    with make_reader(folder, columns=["image"], batch_size=64, options=ReadOptions(tail="ragged")) as reader:
        for batch in reader:
            delivered += len(batch["image"])
            if time.monotonic() - started > SPEED_SECONDS:
                break
    return delivered / (time.monotonic() - started)


def _record(lake: Lake, plan: Plan, card: Card, predictions: Path) -> Receipt:
    with predictions.open(encoding="utf-8") as lines:
        return record_opinions(
            lake,
            (json.loads(line) for line in lines),
            source=f"{plan.name}_predictions",
            question=plan.question,
            actor=card.actor,
            said_at=datetime.fromisoformat(card.trained_at),
            inputs={"dataset_id": card.dataset_id, "model": card.key},
        )
