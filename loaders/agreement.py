"""Ranks compare what they are about to read before the first batch: one that differs is found in the first second.

Two ranks with different seeds do not fail; they train on some samples twice and on others never. So each rank sends a
digest of what decides the order, and if the digests differ, the values behind them, so that every rank can say which.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loaders.errors import DeadlineError, FormatError, RankMismatchError
from loaders.workers.threads import Pool
from schemas.canonical import canonical_json

Exchange = Callable[[bytes], Sequence[bytes]]
"""Every rank calls it with its bytes, as many as the other ranks; it returns those of all ranks, in rank order."""

_GREETING = struct.Struct("<32sII")
"""What is sent first: digest, rank, bytes of the text behind the digest."""

_HINTS = {
    "world": "start every rank with the number of ranks there are",
    "version": "run the same Petrel on every rank",
    "contract": "run the same Petrel on every rank",
    "fingerprint": "open the same dataset version, split and filter on every rank",
    "seed": "pass the same Shuffle(seed=...) on every rank",
    "lanes": "pass the same Shuffle(lanes=...) on every rank",
    "window": "pass the same Shuffle(window=...) on every rank",
    "global_batch": "pass the same batch_size on every rank",
    "tail": "pass the same ReadOptions(tail=...) on every rank",
    "epoch": "load the same state on every rank, or on none",
    "step": "load the same state on every rank, or on none",
}
_POLL_S = 0.01


def check_agreement(
    mine: Mapping[str, object], *, rank: int, world: int, exchange: Exchange, deadline_s: float
) -> None:
    """Compare what this rank is about to read with the other ranks. All ranks must call it, each once.

    Args:
        mine: What must be equal on all ranks, JSON values by name: the state of the reader, its columns.
        rank: Ours, counted from 0.
        world: How many ranks there are; compared too.
        exchange: Gives every rank's bytes. It is called once, and once more if the ranks differ.
        deadline_s: Seconds in which all of this ends; an exchange that hangs is left to itself.

    Raises:
        RankMismatchError: On every rank, naming each value that differs and the ranks that have it.
        DeadlineError: If some rank did not come, or came without an exchange, in time.
        FormatError: If the exchange returns other than one answer of the same size for each rank.
    """
    text = canonical_json({**mine, "world": world}).encode()
    greeting = _GREETING.pack(hashlib.sha256(text).digest(), rank, len(text))
    until = time.monotonic() + deadline_s

    answers = _exchanged(exchange, greeting, until, deadline_s)
    digests, ranks, sizes = zip(*(_GREETING.unpack(answer) for answer in answers), strict=True)
    # From here on all ranks decide alike: they look at the same answers.
    if len({*digests}) > 1:
        texts = _exchanged(exchange, text.ljust(max(sizes)), until, deadline_s)
        raise _mismatch([json.loads(answer) for answer in texts], ranks)
    if ranks != tuple(range(world)):
        raise wrong_ranks(ranks, world)


def through_folder(folder: str | Path, rank: int, world: int, token: str, *, deadline_s: float = 120.0) -> Exchange:
    """Return an exchange through files in a folder that all ranks see, for runs without torch.distributed.

        Shard(rank, world, exchange=through_folder("/shared/run7", rank, world, os.environ["SLURM_JOB_ID"]))

    Files of an earlier run are never taken for ours, even with the same token: each process sends a random number,
    and only an answer that repeats it counts. Each rank leaves one small file; delete the folder after the run.

    Args:
        folder: Made if it is missing.
        rank: Ours, counted from 0.
        world: How many ranks there are.
        token: Name of the run, equal on all ranks; keeps runs that share the folder apart.
        deadline_s: Seconds in which an exchange ends. File systems that keep listings for a while (NFS: up to 60 s)
            need more than that.

    Raises:
        RankMismatchError: While exchanging, if two processes have the same rank or another number of ranks.
        DeadlineError: While exchanging, if a rank did not come in time.
    """
    place = Path(folder)
    prefix = hashlib.sha256(token.encode()).hexdigest()[:16]
    written: list[Path] = []

    def exchange(payload: bytes) -> Sequence[bytes]:
        place.mkdir(parents=True, exist_ok=True)
        nonce = secrets.token_hex(8)
        stem = f"{prefix}-{len(written)}-"
        path = place / f"{stem}{rank}-{nonce}.json"
        answers = _meet(path, stem, _Note(nonce, rank, world, payload.hex()), time.monotonic() + deadline_s)
        # Whoever answered has finished the round before this one.
        if written:
            written[-1].unlink(missing_ok=True)
        written.append(path)
        return answers

    return exchange


def wrong_ranks(ranks: Iterable[int], world: int) -> RankMismatchError:
    """Return the error for ranks that are not 0 ... world - 1, each once."""
    found = sorted(ranks)
    twice = sorted({each for each in found if found.count(each) > 1})
    what = f"rank {_spans(twice)} exists more than once" if twice else f"{len(found)} ranks take part: {_spans(found)}"
    return RankMismatchError(
        f"the ranks do not fit together: {what}, each was started with world={world}; give every process a rank of "
        f"its own, from 0 to {world - 1}",
        values={"rank": found},
    )


def _exchanged(exchange: Exchange, payload: bytes, until: float, deadline_s: float) -> list[bytes]:
    """Exchange in a thread of its own: a collective call waits for a missing rank for minutes, or for ever."""
    pool = Pool(1, "petrel-agree")
    future = pool.submit("comparing ranks", lambda: [bytes(answer) for answer in exchange(payload)])
    try:
        if not wait([future], max(0.0, until - time.monotonic())).done:
            raise DeadlineError(
                f"the ranks were not all there within {deadline_s:g} s to compare what they read; did each start, with "
                "Shard(exchange=...)?"
            )
        try:
            answers = future.result()
        except Exception as error:
            error.add_note("raised by the exchange of Shard, while the ranks compared what they are about to read")
            raise
    finally:
        pool.close(patience_s=0.0)
    if payload not in answers or {len(answer) for answer in answers} != {len(payload)}:
        raise FormatError(
            f"exchange must return the bytes of every rank, ours ({len(payload)} bytes) among them; found answers of "
            f"{[len(answer) for answer in answers]} bytes"
        )
    return answers


def _mismatch(found: Sequence[Mapping[str, object]], ranks: Sequence[int]) -> RankMismatchError:
    names = sorted({name for each in found for name in each})
    values = {name: [each.get(name) for each in found] for name in names}
    differing = {name: each for name, each in values.items() if any(value != each[0] for value in each)}
    lines = [_difference(name, each, ranks) for name, each in differing.items()]
    return RankMismatchError("the ranks are about to read different things: " + "; ".join(lines), values=differing)


def _difference(name: str, values: Sequence[object], ranks: Sequence[int]) -> str:
    """Return e.g. `seed is 7 on ranks 0-2, 8 on rank 3 (pass the same ...)`; the commonest value comes first."""
    having: dict[str, list[int]] = {}
    for rank, value in zip(ranks, values, strict=True):
        having.setdefault(repr(value), []).append(rank)
    ordered = sorted(having.items(), key=lambda item: -len(item[1]))
    found = ", ".join(
        f"{value} on rank{'s' if len(each) > 1 else ''} {_spans(each)}" for value, each in ordered[:4]
    ) + (f" and {len(ordered) - 4} other values" if len(ordered) > 4 else "")
    return f"{name} is {found} ({_HINTS.get(name, 'make it equal on every rank')})"


def _spans(numbers: Sequence[int]) -> str:
    """Return sorted numbers as `0-2, 5`."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)


@dataclass(frozen=True, slots=True)
class _Note:
    """One process's file in a round of an exchange through a folder.

    Attributes:
        nonce: Random, of this process and round.
        rank: Rank of the process.
        world: How many ranks it was told there are.
        payload: What it sends, in hex.
        seen: Nonces of the other files it has seen.
    """

    nonce: str
    rank: int
    world: int
    payload: str
    seen: tuple[str, ...] = ()


def _meet(path: Path, stem: str, mine: _Note, until: float) -> list[bytes]:
    """Write our note, until all ranks have seen it and we theirs; return the payloads in rank order."""
    published: tuple[str, ...] | None = None
    while True:
        others = [note for each in path.parent.glob(f"{stem}*.json") if each != path and (note := _read_note(each))]
        seen = tuple(sorted(note.nonce for note in others))
        if seen != published:
            _write_note(path, _Note(mine.nonce, mine.rank, mine.world, mine.payload, seen))
            published = seen
        # A note that repeats our nonce was written by a living process, and ours repeats its nonce now.
        present = [mine, *(note for note in others if mine.nonce in note.seen)]
        _check_present(present)
        if len(present) == mine.world:
            return [bytes.fromhex(note.payload) for note in sorted(present, key=lambda note: note.rank)]
        if time.monotonic() > until:
            missing = sorted({*range(mine.world)} - {note.rank for note in present})
            raise DeadlineError(
                f"rank {_spans(missing)} of {mine.world} did not come to {path.parent} in time; did each rank start, "
                "with the same folder and token?"
            )
        time.sleep(_POLL_S)


def _check_present(present: Sequence[_Note]) -> None:
    present = sorted(present, key=lambda note: note.rank)
    ranks, worlds = [note.rank for note in present], [note.world for note in present]
    if len({*worlds}) > 1:
        raise _mismatch([{"world": world} for world in worlds], ranks)
    if len({*ranks}) < len(ranks) or max(ranks) >= worlds[0]:
        raise wrong_ranks(ranks, worlds[0])


def _read_note(path: Path) -> _Note | None:
    try:
        entry: dict[str, Any] = json.loads(path.read_bytes())
        return _Note(**{**entry, "seen": tuple(entry["seen"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # removed meanwhile, or not ours
        return None


def _write_note(path: Path, note: _Note) -> None:
    staged = path.with_suffix(".tmp")
    with staged.open("w") as stream:
        json.dump({name: getattr(note, name) for name in note.__slots__}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    staged.replace(path)
