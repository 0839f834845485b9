"""Trained models on disk: what each was trained on, its weights and its predictions. Needs no torch.

    models/cnn@1/card.json            dataset version, settings, classes, accuracy on the validation split
    models/cnn@1/weights.npz          arrays by name; never pickle
    models/cnn@1/predictions.jsonl    one line per member: entity_id, label, confidence, probabilities
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from schemas.canonical import content_id

MODEL_VERSION = 1
"""Raised when the same settings would give another model: older ones are trained again."""

CARD, WEIGHTS, PREDICTIONS = "card.json", "weights.npz", "predictions.jsonl"


@dataclass(frozen=True, slots=True)
class Settings:
    """How the demo's model is trained.

    Attributes:
        epochs: Passes over the train split.
        batch_size: Images per step.
        learning_rate: Peak of the one-cycle schedule.
        width: Channels of the first block.
        max_side: Images are brought to squares of at most this side, px.
        seed: Of weights, order and shifts.
        threads: Threads of torch; the weights depend on their number. One: on two cores that others kept busy too,
            the digits took 13 s with one and 172 s with two, which wait for each other.
    """

    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 4e-3
    width: int = 32
    max_side: int = 32
    seed: int = 7
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Card:
    """What is known about a trained model.

    Attributes:
        actor: Who its answers are from: `model:cnn@<n>`.
        key: Content id of dataset version, settings and `MODEL_VERSION`.
        dataset_id: Version it was trained on.
        settings: `Settings` as values.
        classes: Labels in the order of its outputs.
        side: Side of its input, px.
        channels: 1 (grey) or 3.
        val_accuracy: Share of right answers on the validation split, 0 to 1; None without one.
        seconds: Time of training, s.
        trained_at: When, ISO 8601: the event time of its predictions.
    """

    actor: str
    key: str
    dataset_id: str
    settings: Mapping[str, object]
    classes: tuple[str, ...]
    side: int
    channels: int
    val_accuracy: float | None
    seconds: float
    trained_at: str


def key_of(dataset_id: str, settings: Settings) -> str:
    """Return the content id of everything that a model depends on, 32 hex digits."""
    return content_id([dataset_id, dataclasses.asdict(settings), MODEL_VERSION])


def find_card(models: Path, key: str) -> Card | None:
    """Return the card of the model with that key; None if it was not trained yet."""
    return next((card for card in _cards(models) if card.key == key), None)


def next_actor(models: Path) -> str:
    """Return the actor id of the next model: model:cnn@1, @2 ..."""
    return f"model:cnn@{1 + max((int(card.actor.rpartition('@')[2]) for card in _cards(models)), default=0)}"


def folder_of(models: Path, card: Card) -> Path:
    """Return the folder of a model."""
    return models / card.actor.removeprefix("model:")


def publish(models: Path, card: Card, write: Callable[[Path], None]) -> None:
    """Put a model in its place, whole or not at all: `write(folder)` adds weights and predictions."""
    target = folder_of(models, card)
    staging = models / f".{target.name}.tmp"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        write(staging)
        text = json.dumps(dataclasses.asdict(card), indent=2, ensure_ascii=False) + "\n"
        (staging / CARD).write_text(text, encoding="utf-8")
        os.replace(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _cards(models: Path) -> list[Card]:
    found = []
    for path in sorted(models.glob(f"cnn@*/{CARD}")):
        record = json.loads(path.read_text(encoding="utf-8"))
        found.append(Card(**(record | {"classes": tuple(record["classes"])})))
    return found
