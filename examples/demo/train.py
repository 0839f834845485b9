"""Train the demo's network on a published dataset and let it answer about every member.

The same dataset version, settings and torch give the same weights.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from examples.demo.card import PREDICTIONS, WEIGHTS, Card, Settings, key_of, next_actor, publish
from examples.demo.model import SmallCnn, as_input, save_weights
from examples.demo.pixels import input_form, squares
from lakehouse.opinions.reading.answer import most_probable
from lakehouse.progress import progress
from loaders import FormatError, Manifest, ReadOptions, Shuffle, make_reader, read_dataset, read_manifest
from loaders.torch import tensors

logger = logging.getLogger(__name__)

COLUMNS = ("entity_id", "image", "label_index", "label_probs")

SHIFT_PX = 1
"""Training images are moved by up to this many pixels."""

PROBABILITY_DIGITS = 6
FORM_SAMPLE = 256
"""Images that decide side and channels of the input."""


def train(folder: str, models: Path, settings: Settings) -> Card:
    """Train a model on the train split, write it with its answers about all members, and return its card.

    Args:
        folder: A published dataset with labels: a path or a URL.
        models: Where models are kept; an unfinished one is never seen there.
        settings: How to train.
    """
    started = time.monotonic()
    dataset = read_dataset(folder)
    classes = classes_of(read_manifest(f"{folder}/train"))
    with _threads(settings.threads):
        torch.manual_seed(settings.seed)
        side, channels = _input_form(f"{folder}/train", settings)
        shape = functools.partial(_with_squares, side=side, channels=channels)
        model = SmallCnn(channels=channels, classes=len(classes), width=settings.width)
        _fit(model, f"{folder}/train", dataset.splits["train"].rows, settings, shape)
        model.eval()
        filled = [split for split, entry in dataset.splits.items() if entry.rows]
        answers = {split: list(_answers(model, f"{folder}/{split}", shape)) for split in filled}
    card = Card(
        actor=next_actor(models),
        key=key_of(dataset.dataset_id, settings),
        dataset_id=dataset.dataset_id,
        settings=dataclasses.asdict(settings),
        classes=classes,
        side=side,
        channels=channels,
        val_accuracy=_accuracy(answers.get("val", [])),
        seconds=round(time.monotonic() - started, 1),
        trained_at=datetime.now(UTC).isoformat(),
    )
    lines = [_line(classes, *answer) for split in answers.values() for answer in split]

    def write(staging: Path) -> None:
        save_weights(model, staging / WEIGHTS)
        (staging / PREDICTIONS).write_text("".join(lines), encoding="utf-8")

    publish(models, card, write)
    logger.info("trained actor=%s epochs=%d seconds=%.1f", card.actor, settings.epochs, card.seconds)
    return card


def classes_of(split: Manifest) -> tuple[str, ...]:
    """Return the labels in the order of `label_index`.

    Raises:
        FormatError: If the dataset has none.
    """
    if not split.classes:
        raise FormatError(f"dataset {split.dataset_id} names no classes; give its recipe a question")
    return split.classes


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _fit(model: SmallCnn, folder: str, rows: int, settings: Settings, shape: Any) -> None:
    steps = -(-rows // settings.batch_size) * settings.epochs
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps)
    # Soft labels: an image that people disagree about may not pull as hard as one that they do not.
    loss_of = nn.CrossEntropyLoss()
    moves = torch.Generator().manual_seed(settings.seed)
    shuffle = Shuffle(seed=settings.seed)
    with progress("train", total=rows * settings.epochs, unit="images") as advance:
        for batch in _read(folder, settings.batch_size, shape, epochs=settings.epochs, shuffle=shuffle):
            images_BCHW = _shifted(as_input(batch["image"]), moves)
            loss = loss_of(model(images_BCHW), batch["label_probs"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            advance(len(images_BCHW))


def _answers(model: SmallCnn, folder: str, shape: Any) -> Iterator[tuple[str, int, list[float]]]:
    """Give (entity id, index of its label, probabilities by class) of every row of a split."""
    with torch.inference_mode():
        for batch in _read(folder, 256, shape, epochs=1, shuffle=None):
            probs_BK = model(as_input(batch["image"])).softmax(dim=1).double()
            yield from zip(batch["entity_id"], batch["label_index"].tolist(), probs_BK.tolist(), strict=True)


def _accuracy(answers: Sequence[tuple[str, int, list[float]]]) -> float | None:
    right = sum(probs.index(max(probs)) == label for _, label, probs in answers)
    return right / len(answers) if answers else None


def _line(classes: Sequence[str], entity_id: str, label: int, probs: list[float]) -> str:
    rounded = {name: round(p, PROBABILITY_DIGITS) for name, p in zip(classes, probs, strict=True)}
    answer = most_probable(rounded)
    record = {
        "entity_id": entity_id,
        "label": answer,
        "confidence": min(1.0, rounded[answer]),
        "probabilities": rounded,
    }
    return json.dumps(record, ensure_ascii=False) + "\n"


def _input_form(folder: str, settings: Settings) -> tuple[int, int]:
    with make_reader(folder, columns=["image"], batch_size=FORM_SAMPLE, options=ReadOptions(tail="ragged")) as reader:
        return input_form(next(iter(reader))["image"], max_side=settings.max_side)


def _read(
    folder: str, batch_size: int, shape: Any, *, epochs: int, shuffle: Shuffle | None
) -> Iterator[dict[str, Any]]:
    with make_reader(
        folder,
        columns=COLUMNS,
        batch_size=batch_size,
        shuffle=shuffle,
        epochs=epochs,
        transform=shape,
        options=ReadOptions(tail="ragged"),
    ) as reader:
        yield from tensors(reader, channels_first=["image"])


def _with_squares(batch: dict[str, Any], *, side: int, channels: int) -> dict[str, Any]:
    return batch | {"image": squares(batch["image"], side=side, channels=channels)}


def _shifted(images_BCHW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    down, right = torch.randint(-SHIFT_PX, SHIFT_PX + 1, (2,), generator=generator).tolist()
    padded = nn.functional.pad(images_BCHW, (SHIFT_PX,) * 4, mode="replicate")
    height, width = images_BCHW.shape[2:]
    top, left = SHIFT_PX + down, SHIFT_PX + right
    return padded[:, :, top : top + height, left : left + width]
