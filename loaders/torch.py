"""Batches as tensors, and ranks from torch.distributed. The only file of the loaders that imports torch.

    from loaders.torch import shard, tensors

    reader = make_reader(folder, batch_size=64, shuffle=Shuffle(seed=7), shard=shard())
    for batch in tensors(reader, channels_first=["image"], device="cuda"):
        loss = model(batch["image"].float() / 255)          # uint8 (64, 3, H, W)

Detection: `tensors(reader, targets=Targets())` gives `images, targets = batch["image"], batch["targets"]`.

On the CPU dense tensors lie over the reader's own arrays, no byte is copied. On a CUDA device the next batch is copied
while this one is used; `ReadOptions(allocate=pinned)` has the reader assemble batches in memory it is copied from.

GUIDE.md has a recipe for Lightning.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
import torch.distributed as dist
from torch.utils.data import IterableDataset, get_worker_info

from loaders.axes import Array, Octets
from loaders.decoding.values import Batch
from loaders.errors import FormatError
from loaders.format.fields import Field
from loaders.options import Shard
from loaders.tensors.conversion import Conversion, Joined, Nulls, Ragged
from loaders.tensors.detection import Dressing
from loaders.tensors.detection import Targets as Targets
from loaders.tensors.ragged import varying_axes

Tensors: TypeAlias = "dict[str, Any]"
"""{column: tensor of shape (rows, ...), list of tensors, or what is no tensor as the reader gave it}."""

_Event: TypeAlias = Any  # torch.cuda.Event, whose methods have no types


class Source(Protocol):
    """What is asked of a reader: `loaders.Reader` is one, and what `lake.stream` gives."""

    def __next__(self) -> Batch: ...
    def __len__(self) -> int: ...
    def close(self) -> None: ...
    def state_dict(self) -> dict[str, object]: ...
    def load_state_dict(self, state: Mapping[str, object]) -> None: ...
    def set_epoch(self, epoch: int) -> None: ...

    @property
    def fields(self) -> tuple[Field, ...]: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def sample_rows(self) -> int: ...

    @property
    def steps_per_epoch(self) -> int: ...


def tensors(
    reader: Source,
    *,
    channels_first: Sequence[str] = (),
    device: torch.device | str | None = None,
    pin: bool = False,
    ragged: Mapping[str, Ragged] | None = None,
    nulls: Nulls = "error",
    prefetch_to_device: bool = True,
    targets: Targets | None = None,
) -> TensorReader:
    """Wrap a reader so that it gives tensors. Text, maps, dates and lists not named in `ragged` come as they are.

    Args:
        reader: What to read; its state is the state of the result.
        channels_first: Columns of pictures (N, H, W, C) to give as (N, C, H, W), without a copy;
            of sequences (N, T, H, W, C) as (N, T, C, H, W).
        device: Where to put the tensors; None leaves them over the reader's own arrays.
        pin: Give tensors in page-locked memory, for whoever copies them to a CUDA device later.
        ragged: What becomes of columns whose values differ in size. `pad`: one tensor (N, largest, ...), zero beyond
            each value, and `<column>_lengths` int64 (N,); for pictures, and other arrays of which several axes vary,
            `<column>_sizes` int64 (N, axes). `nested`: a jagged nested tensor, where only the first axis varies.
            `list`: a list of tensors.
        nulls: What becomes of nulls in columns of tensors. `error`: FormatError. `mask`: each nullable column has a
            second, `<column>_valid`, bool (N,); what lies under a null is zero, or of size 0. A mapping: the value to
            put in their place, by column.
        prefetch_to_device: Copy the next batch to a CUDA device while this one is used; that takes the memory of one
            more batch there.
        targets: Lay the columns of objects together, one dict for each picture, in "targets"; pictures come channels
            first. See `loaders.tensors.detection`.

    Raises:
        FormatError: If a column is unknown, arguments do not fit its type, or, while iterating, it holds nulls.
    """
    known = sorted(field.name for field in reader.fields)
    if unknown := sorted(set(channels_first) - {*known}):
        raise FormatError(f"channels_first names {unknown}, the reader has {known}")
    ragged = dict(ragged or {})
    dressing = None if targets is None else Dressing(targets, reader.fields)
    if dressing is not None:
        channels_first = [*channels_first, dressing.picture]
        varying = {field.name for field in reader.fields if field.name in dressing.lists and varying_axes(field) != 0}
        ragged |= {name: "list" for name in varying - ragged.keys()}
    conversion = Conversion(reader.fields, ragged=ragged, nulls=nulls)
    lists = frozenset(name for name, how in ragged.items() if how == "list")
    lead = 2 if reader.sample_rows > 1 else 1  # axes of the batch, and of the rows of a sequence
    copies = _copies(None if device is None else torch.device(device), pin)
    return TensorReader(
        reader,
        lambda batch: _as_tensors(conversion.convert(batch), frozenset(channels_first), lists, lead),
        copies,
        looks_ahead=prefetch_to_device and isinstance(copies, _CudaCopies),
        finish=(lambda batch: batch) if dressing is None else dressing.dressed,
    )


class TensorReader(IterableDataset[Tensors]):
    """A reader whose arrays come as tensors. Make one with `tensors`.

    Iterating when a pass is over begins the next one, also after `load_state_dict`: no pass is empty.
    Also a dataset: `DataLoader(tensors(reader), batch_size=None, num_workers=0)`; and it has the state that
    StatefulDataLoader and Lightning save. Columns of dates need `DataLoader(..., collate_fn=lambda batch: batch)`.
    """

    def __init__(
        self, reader: Source, convert: Callable[[Batch], Tensors], copies: _Copies, *, looks_ahead: bool,
        finish: Callable[[Tensors], Tensors],
    ) -> None:  # fmt: skip
        self.reader = reader
        self._convert, self._copies, self._looks_ahead, self._finish = convert, copies, looks_ahead, finish
        self._ahead: _Ahead | None = None

    def __iter__(self) -> TensorReader:
        if get_worker_info() is not None:
            raise _no_workers()
        if self.state_dict()["step"] == self.reader.steps_per_epoch:
            # Lightning counts batches and never asks for the end: without this its next epoch would be empty.
            with suppress(StopIteration):
                next(self)
        return self

    def __next__(self) -> Tensors:
        if not self._looks_ahead:
            return self._finish(self._copies.finish(self._start_next()))
        now = self._ahead or self._look_ahead()
        if now.error is not None:
            self._ahead = None
            raise now.error
        self._ahead = now  # not lost if what follows is interrupted
        self._ahead = self._look_ahead()
        return self._finish(self._copies.finish(now.copy))

    def __getstate__(self) -> object:
        raise _no_workers()

    def __len__(self) -> int:
        return len(self.reader)

    def __enter__(self) -> TensorReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, as the reader has them."""
        return self.reader.classes

    def close(self) -> None:
        """Close the reader."""
        self._ahead = None
        self._copies.close()
        self.reader.close()

    def state_dict(self) -> dict[str, object]:
        """Return the reader's state after the last batch that was received here."""
        return self.reader.state_dict() if self._ahead is None else self._ahead.state

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Restore the reader's state."""
        self.reader.load_state_dict(state)
        self._ahead = None

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch."""
        self.reader.set_epoch(epoch)
        self._ahead = None

    def _start_next(self) -> _Copy:
        return self._copies.start(self._convert(next(self.reader)))

    def _look_ahead(self) -> _Ahead:
        state = self.reader.state_dict()
        try:
            return _Ahead(state, self._start_next(), None)
        except Exception as error:  # of the next batch: raised when it is asked for; the end of the pass, too
            return _Ahead(state, None, error)


def shard(group: dist.ProcessGroup | None = None) -> Shard:
    """Return which of several readers this process is.

    From torch.distributed if it is initialised, and then the ranks also compare what they are about to read; else from
    the variables RANK and WORLD_SIZE that torchrun sets; else the only one.

    Args:
        group: The ranks that share the data, None for all: the data-parallel group, where a model is spread over
            several ranks.

    Raises:
        FormatError: If the variables are no numbers.
    """
    if dist.is_available() and dist.is_initialized():
        return Shard(dist.get_rank(group), dist.get_world_size(group), _through_group(group))
    rank, world = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    if not (rank.isdecimal() and world.isdecimal()):
        raise FormatError(f"RANK and WORLD_SIZE are numbers, found {rank!r} and {world!r}")
    return Shard(int(rank), int(world))


def pinned(size: int) -> Octets:
    """Return `size` bytes of page-locked memory, for `ReadOptions(allocate=pinned)`.

    Raises:
        FormatError: If torch sees no CUDA device.
    """
    _check_cuda("pinned memory")
    array: Octets = torch.empty(size, dtype=torch.uint8, pin_memory=True).numpy()
    return array


@dataclass(frozen=True, slots=True)
class _Jagged:
    """Tensors of `Joined`; the nested tensor is made of them where it is used."""

    values: torch.Tensor
    offsets: torch.Tensor


@dataclass(frozen=True, slots=True)
class _Copy:
    """A batch on its way to a device.

    Attributes:
        batch: The tensors there; valid once `done`.
        leaves: The tensors of `batch` that were copied, one by one.
        done: Event of the copying stream.
    """

    batch: Tensors
    leaves: Sequence[torch.Tensor] = ()
    done: _Event = None


@dataclass(frozen=True, slots=True)
class _Ahead:
    """The batch after the one that the caller has: the state before it, and its copy or why there is none."""

    state: dict[str, object]
    copy: Any
    error: Exception | None


class _Copies(Protocol):
    """How tensors come to where they are wanted."""

    def start(self, batch: Tensors) -> _Copy: ...
    def finish(self, copy: _Copy) -> Tensors: ...
    def close(self) -> None: ...


class _PlainCopies:
    """Each batch when it is asked for, or no copy at all."""

    def __init__(self, place: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._place = place

    def start(self, batch: Tensors) -> _Copy:
        return _Copy(_mapped(batch, self._place))

    def finish(self, copy: _Copy) -> Tensors:
        return copy.batch

    def close(self) -> None:
        pass


class _CudaCopies:
    """From page-locked memory, on a stream of its own.

    The reader uses an array again when nobody holds it any more, and knows nothing of copies that still run: sources
    are held here until their event has passed.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._sources: deque[tuple[_Event, list[torch.Tensor]]] = deque()

    def start(self, batch: Tensors) -> _Copy:
        while self._sources and (len(self._sources) > 1 or self._sources[0][0].query()):
            self._sources.popleft()[0].synchronize()
        sources: list[torch.Tensor] = []
        leaves: list[torch.Tensor] = []

        def copy(tensor: torch.Tensor) -> torch.Tensor:
            sources.append(_pinned(tensor))
            leaves.append(sources[-1].to(self._device, non_blocking=True))
            return leaves[-1]

        with torch.cuda.stream(self._stream):
            copied = _mapped(batch, copy)
            done = self._stream.record_event()
        self._sources.append((done, sources))
        return _Copy(copied, leaves, done)

    def finish(self, copy: _Copy) -> Tensors:
        current = torch.cuda.current_stream(self._device)
        current.wait_event(copy.done)
        for leaf in copy.leaves:
            leaf.record_stream(current)  # the allocator must not hand it out again while this stream reads it
        return copy.batch

    def close(self) -> None:
        self._stream.synchronize()
        self._sources.clear()


def _copies(device: torch.device | None, pin: bool) -> _Copies:
    if device is not None and device.type == "cuda":
        _check_cuda(f"device={str(device)!r}")
        return _CudaCopies(device)
    if pin:
        _check_cuda("pin=True")
        if device is not None and device.type != "cpu":
            raise FormatError(f"pin=True is for tensors in this machine's memory, not for device={str(device)!r}")
        return _PlainCopies(_pinned)
    return _PlainCopies(lambda tensor: tensor if device is None else tensor.to(device))


def _as_tensors(batch: Batch, channels_first: frozenset[str], lists: frozenset[str], lead: int) -> Tensors:
    """Return the batch with tensors over its arrays of numbers, and `_Jagged` where a nested tensor is wanted."""
    out: Tensors = {}
    for name, value in batch.items():
        if isinstance(value, Joined):
            out[name] = _Jagged(_tensor(value.values), _tensor(value.offsets))
        elif isinstance(value, list) and name in lists:
            out[name] = [_laid_out(_tensor(each), name in channels_first, 3) for each in value]
        elif isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
            out[name] = _laid_out(_tensor(value), name in channels_first, lead + 3)
        else:
            out[name] = value
    return out


def _laid_out(tensor: torch.Tensor, is_channels_first: bool, axes: int) -> torch.Tensor:
    """Return pictures (..., H, W, C) as (..., C, H, W), torch's channels_last, if that is wanted; no copy."""
    # (..., height, width, channels) to (..., channels, height, width)
    return tensor.movedim(-1, -3) if is_channels_first and tensor.ndim == axes else tensor


def _mapped(batch: Tensors, place: Callable[[torch.Tensor], torch.Tensor]) -> Tensors:
    return {name: _placed(value, place) for name, value in batch.items()}


def _placed(value: object, place: Callable[[torch.Tensor], torch.Tensor]) -> object:
    if isinstance(value, torch.Tensor):
        return place(value)
    if isinstance(value, _Jagged):
        return torch.nested.nested_tensor_from_jagged(place(value.values), place(value.offsets))
    if isinstance(value, list) and value and isinstance(value[0], torch.Tensor):
        return [place(each) for each in value]
    return value


def _pinned(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.is_pinned() else tensor.pin_memory()


def _tensor(array: Array) -> torch.Tensor:
    """Return a tensor over the array; over a copy, if torch could not write to it or not step through it."""
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()
    return torch.from_numpy(array)


def _no_workers() -> FormatError:
    told = "a Reader has workers of its own and does not travel to those of DataLoader"
    return FormatError(f"{told}; use DataLoader(tensors(reader), batch_size=None, num_workers=0)")


def _check_cuda(what: str) -> None:
    if not torch.cuda.is_available():
        raise FormatError(f"{what} needs a CUDA device, and torch sees none")


def _through_group(group: dist.ProcessGroup | None) -> Callable[[bytes], Sequence[bytes]]:
    """Return an exchange through a process group; gloo, since NCCL has no tensors of the CPU."""
    gloo: list[dist.ProcessGroup | None] = []

    def exchange(payload: bytes) -> Sequence[bytes]:
        if not gloo:
            gloo.append(group if dist.get_backend(group) == "gloo" else _gloo_beside(group))
        ours = torch.frombuffer(bytearray(payload), dtype=torch.uint8)
        answers = [torch.empty_like(ours) for _ in range(dist.get_world_size(group))]
        dist.all_gather(answers, ours, group=gloo[0])
        return [answer.numpy().tobytes() for answer in answers]

    return exchange


def _gloo_beside(group: dist.ProcessGroup | None) -> Any:
    ranks: Sequence[int] = dist.get_process_group_ranks(group)
    return dist.new_group(list(ranks), backend="gloo", use_local_synchronization=True, sort_ranks=False)
