"""Does a training that is killed again and again see the samples that it would have seen? And the same pixels?

    python -m benchmarks.loaders.resume_training --data ../shared/data/cifar10
    python -m benchmarks.loaders.resume_training --data ../shared/data/cifar10 --kills 12 --epochs 6 --seed 3

Publishes the 3,000 pictures of CIFAR-10 with their labels, and trains a small network on random crops of them, with
noise that depends on the seed of each sample. One training runs undisturbed. A second one is killed with SIGKILL at
random steps, and started again each time with other workers: threads, processes, none. Both write down each step
before they take it (ids of the samples, SHA-256 of all pixels, loss; fsync), and save model, optimizer and position of
the reader every few steps. Then both are compared step by step, also the steps that were taken twice.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import logging
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from loaders import (
    Field,
    Layout,
    RandomResizedCrop,
    Reader,
    ReadOptions,
    Shuffle,
    make_reader,
    per_sample,
    write_dataset,
)

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
MODULE = "benchmarks.loaders.resume_training"
SIZE, BATCH, LANES = 32, 64, 8
WORKERS = ("threads:2", "processes:1", "inline:1", "threads:4", "processes:2", "threads:1")
"""What each life of the training reads with, one after the other."""

_CHECKPOINT = "checkpoint.pt"
_LIFE_LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Step:
    """What a training wrote down before it took a step.

    Attributes:
        step: Its number, from 0, through all epochs.
        ids: Samples of the batch, without padding.
        pixels: SHA-256 of the batch's pixels.
        loss: Of the batch, before the step.
    """

    step: int
    ids: tuple[int, ...]
    pixels: str
    loss: float


@dataclass(slots=True)
class Outcome:
    """Two trainings side by side.

    Attributes:
        undisturbed: Steps of the one that nobody killed.
        lives: Steps of each life of the other one.
        mismatches: What differs: step and what. Steps that were taken twice count twice.
    """

    undisturbed: list[Step]
    lives: list[list[Step]]
    mismatches: list[str] = field(default_factory=list)

    @property
    def effective(self) -> list[Step]:
        """The steps that are in the last model: of those that were taken twice, the later."""
        last = {step.step: step for life in self.lives for step in life}
        return [last[number] for number in sorted(last)]

    def __str__(self) -> str:
        taken, effective = sum(len(life) for life in self.lives), self.effective
        samples = sum(len(step.ids) for step in effective)
        return (
            f"kills {len(self.lives) - 1}, steps {len(effective)} of {len(self.undisturbed)}, taken twice "
            f"{taken - len(effective)}, samples {samples:,}, mismatches {len(self.mismatches)}; last loss "
            f"undisturbed {self.undisturbed[-1].loss:.6f}, killed {effective[-1].loss:.6f}"
        )


def publish_pictures(source: Path, folder: Path, *, limit: int | None = None) -> Path:
    """Publish the pictures of `source`/index.csv in row groups of 64 KiB, about fifty; return the split."""
    with open(source / "index.csv", newline="") as stream:
        entries = list(csv.DictReader(stream))[:limit]
    names = sorted({entry["cifar10_label"] for entry in entries})
    rows = [
        {
            "entity_id": entry["image"],
            "image": (source / entry["image"]).read_bytes(),
            "number": int(entry["cifar10_test_index"]),
            "label": names.index(entry["cifar10_label"]),
        }
        for entry in entries
    ]
    fields = (
        Field("image", pa.binary(), codec="image", shape=(SIZE, SIZE, 3)),
        Field("number", pa.int64()),
        Field("label", pa.int64()),
    )
    write_dataset(rows, fields, folder, seed=1, layout=Layout(row_group_bytes=64 << 10))
    return folder / "train"


def augmented(sample: dict[str, Any]) -> dict[str, Any]:
    """Add noise to a picture that depends on its seed alone, as much as it has brightness to lose."""
    noise = np.random.default_rng(int(sample["_sample_seed"])).integers(0, 8, sample["image"].shape, dtype=np.uint8)
    return {**sample, "image": sample["image"] - np.minimum(sample["image"], noise)}


def open_reader(split: Path, *, workers: str, epochs: int) -> Reader:
    """Return the reader of a life; `workers` is like "threads:2"."""
    from benchmarks.loaders.resume_training import augmented as importable  # not __main__.augmented: for processes

    pool, count = workers.split(":")
    return make_reader(
        split, batch_size=BATCH, shuffle=Shuffle(seed=11, lanes=LANES, window=2), epochs=epochs,
        decoders={"image": RandomResizedCrop(SIZE, scale=(0.4, 1.0), flip=0.5)}, transform=per_sample(importable),
        options=ReadOptions(pool=pool, workers=int(count)),  # type: ignore[arg-type]
    )  # fmt: skip


def train(split: Path, folder: Path, *, workers: str, epochs: int, save_every: int, log: Path) -> None:
    """Live one life: go on from the checkpoint in `folder`, if there is one, to the end of the last epoch."""
    import torch

    from loaders.torch import tensors

    torch.manual_seed(5)
    torch.set_num_threads(1)  # sums in another order would be other losses
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 12, 3, stride=2), torch.nn.ReLU(), torch.nn.Conv2d(12, 24, 3, stride=2), torch.nn.ReLU(),
        torch.nn.Flatten(), torch.nn.Linear(24 * 49, 10),
    )  # fmt: skip
    # Momentum by hand: torch.optim imports torch's compiler, which takes each life four seconds.
    momenta = [torch.zeros_like(each) for each in model.parameters()]
    with tensors(open_reader(split, workers=workers, epochs=epochs), channels_first=["image"]) as batches:
        reader = batches.reader
        if (folder / _CHECKPOINT).exists():
            saved = torch.load(folder / _CHECKPOINT, weights_only=True)
            model.load_state_dict(saved["model"])
            momenta = saved["optimizer"]
            batches.load_state_dict(saved["reader"])
            if _place(saved["reader"], reader) == epochs * reader.steps_per_epoch:
                return
        with open(log, "a") as lines:
            for number, batch in enumerate(batches, start=_place(batches.state_dict(), reader)):
                real = ~batch["is_pad"]
                losses = torch.nn.functional.cross_entropy(
                    model(batch["image"].float() / 255), batch["label"], reduction="none"
                )
                loss = losses[real].mean()
                pixels = hashlib.sha256(batch["image"].permute(0, 2, 3, 1).contiguous().numpy()).hexdigest()
                ids = batch["number"][real].tolist()
                _write_line(lines, {"step": number, "ids": ids, "pixels": pixels, "loss": loss.item()})
                gradients = torch.autograd.grad(loss, list(model.parameters()))
                with torch.no_grad():
                    for each, momentum, gradient in zip(model.parameters(), momenta, gradients, strict=True):
                        each -= momentum.mul_(0.9).add_(gradient) * 0.05
                if (number + 1) % save_every == 0 or number + 1 == epochs * reader.steps_per_epoch:
                    state = {"model": model.state_dict(), "optimizer": momenta, "reader": batches.state_dict()}
                    _replace(folder / _CHECKPOINT, lambda stream, state=state: torch.save(state, stream))


def _place(state: Mapping[str, Any], reader: Reader) -> int:
    """Return the number of steps before a state, through all epochs."""
    return int(state["epoch"]) * reader.steps_per_epoch + int(state["step"])


def _write_line(stream: Any, value: Mapping[str, Any]) -> None:
    stream.write(json.dumps(value) + "\n")
    stream.flush()
    os.fsync(stream.fileno())


def _replace(path: Path, write: Any) -> None:
    """Write a file so that whoever is killed leaves the old one or the new one."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as stream:
        write(stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(stream.name, path)


def live(split: Path, folder: Path, *, life: int, workers: str, epochs: int, save_every: int, kill_at: int | None,
         delay_s: float = 0.0) -> list[Step]:  # fmt: skip
    """Have a process train; kill it `delay_s` after it wrote down step `kill_at`. Return what it wrote down.

    Raises:
        RuntimeError: If it ended otherwise than wanted.
    """
    log = folder / f"life-{life:02d}.jsonl"
    command = [
        sys.executable, "-m", MODULE, "--child", "--split", str(split), "--folder", str(folder), "--log",
        str(log), "--workers", workers, "--epochs", str(epochs), "--save-every", str(save_every),
    ]  # fmt: skip
    with open(folder / f"life-{life:02d}.txt", "w+") as errors:
        child = subprocess.Popen(command, cwd=ROOT, stderr=errors, stdout=errors)
        until = time.monotonic() + _LIFE_LIMIT_S
        try:
            while child.poll() is None and time.monotonic() < until:
                if kill_at is not None and any(step.step >= kill_at for step in read_log(log)):
                    time.sleep(delay_s)
                    break
                time.sleep(0.01)
        finally:
            child.kill()
            ended = child.wait()
        errors.seek(0)
        if ended != (0 if kill_at is None else -signal.SIGKILL):
            raise RuntimeError(f"life {life} ({workers}) ended with {ended}, kill at {kill_at}:\n{errors.read()}")
    return list(read_log(log))


def read_log(path: Path) -> Iterator[Step]:
    """Yield the steps that were written down; a line that was cut by the kill is none."""
    if path.exists():
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                entry = json.loads(line)
                yield Step(entry["step"], tuple(entry["ids"]), entry["pixels"], entry["loss"])


def compare(outcome: Outcome) -> Outcome:
    """Fill in what differs between the two trainings."""
    wanted = {step.step: step for step in outcome.undisturbed}
    for number, life in enumerate(outcome.lives):
        for step in life:
            if step.step not in wanted:
                outcome.mismatches.append(f"life {number}, step {step.step}: there is no such step")
                continue
            for name in ("ids", "pixels", "loss"):
                if getattr(step, name) != getattr(wanted[step.step], name):
                    outcome.mismatches.append(f"life {number}, step {step.step}: {name}")
    missing = wanted.keys() - {step.step for step in outcome.effective}
    outcome.mismatches += [f"step {number} was never taken" for number in sorted(missing)]
    return outcome


def run(split: Path, folder: Path, *, epochs: int, kills: int, save_every: int, seed: int) -> Outcome:
    """Train twice, once undisturbed and once with kills, and compare."""
    chance = random.Random(seed)
    undisturbed, killed = folder / "undisturbed", folder / "killed"
    for each in (undisturbed, killed):
        each.mkdir(parents=True)
    common = {"epochs": epochs, "save_every": save_every}
    steps = live(split, undisturbed, life=0, workers=WORKERS[0], kill_at=None, **common)
    per_epoch = len(steps) // epochs
    moments = sorted(chance.sample([step for step in range(len(steps) - 1) if (step + 1) % per_epoch], kills))
    lives = []
    for life, moment in enumerate([*moments, None]):
        workers = WORKERS[(life + 1) % len(WORKERS)]
        delay_s = chance.random() * 0.02
        lives.append(live(split, killed, life=life, workers=workers, kill_at=moment, delay_s=delay_s, **common))
        logger.info("life %d with %s: steps %s", life, workers,
                    f"{lives[-1][0].step} to {lives[-1][-1].step}" if lives[-1] else "none")  # fmt: skip
    return compare(Outcome(steps, lives))


def first_batches(split: Path, *, workers: str, rounds: int = 5) -> tuple[float, float]:
    """Return the medians of the seconds from `make_reader` to the first batch: a fresh start, and a resumed one."""
    with open_reader(split, workers=workers, epochs=1) as reader:
        for _ in range(reader.steps_per_epoch // 2):
            next(reader)
        middle = reader.state_dict()
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(rounds):
        for is_resumed, found in seconds.items():
            started = time.perf_counter()
            with open_reader(split, workers=workers, epochs=1) as reader:
                if is_resumed:
                    reader.load_state_dict(middle)
                next(reader)
                found.append(time.perf_counter() - started)
    return statistics.median(seconds[False]), statistics.median(seconds[True])


def main(argv: Sequence[str] | None = None) -> int:
    """Run both trainings and print what came of them."""
    args = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if args.child:
        train(args.split, args.folder, workers=args.workers, epochs=args.epochs, save_every=args.save_every,
              log=args.log)  # fmt: skip
        return 0
    with tempfile.TemporaryDirectory(prefix="petrel-resume-") as name:
        split = publish_pictures(args.data, Path(name) / "pictures")
        outcome = run(split, Path(name), epochs=args.epochs, kills=args.kills, save_every=args.save_every,
                      seed=args.seed)  # fmt: skip
        for mismatch in outcome.mismatches[:20]:
            logger.error("%s", mismatch)
        logger.info("%s", outcome)
        for workers in ("inline:1", "threads:2", "processes:2"):
            fresh, resumed = first_batches(split, workers=workers)
            logger.info("first batch with %s: fresh %.1f ms, resumed %.1f ms, ratio %.2f", workers, fresh * 1e3,
                        resumed * 1e3, resumed / fresh)  # fmt: skip
    return 1 if outcome.mismatches else 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with index.csv and the pictures of CIFAR-10")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--save-every", type=int, default=7, help="steps from one checkpoint to the next")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--workers", default=WORKERS[0], help=argparse.SUPPRESS)
    for name in ("--split", "--folder", "--log"):
        parser.add_argument(name, type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if not args.child and args.data is None:
        parser.error("--data is missing")
    return args


if __name__ == "__main__":
    sys.exit(main())
