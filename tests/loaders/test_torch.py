"""Batches as tensors."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loaders import (
    Field,
    FormatError,
    Layout,
    ReadOptions,
    Sequence,
    Shard,
    Shuffle,
    TransformError,
    make_reader,
    write_dataset,
)
from loaders.testing import assert_resumes_exactly
from tests.loaders.samples import pixels, png

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from loaders import torch as loaders_torch  # noqa: E402  after the check that torch is there
from loaders.torch import pinned, shard, tensors  # noqa: E402

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


# First: a process that forks after torch has opened its own threads takes 5 s to end.
def test_a_data_loader_without_workers_may_wrap_it(train):
    with tensors(make_reader(train, columns=["number"], batch_size=16)) as batches:
        loader = torch.utils.data.DataLoader(batches, batch_size=None, num_workers=0)
        assert len(loader) == 7
        for _ in range(2):
            assert sum(int((~batch["is_pad"]).sum()) for batch in loader) == 101


@pytest.mark.parametrize("context", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_data_loader_with_workers_is_refused(train, context):
    with tensors(make_reader(train, columns=["number"], batch_size=16)) as batches:
        loader = torch.utils.data.DataLoader(batches, batch_size=None, num_workers=1, multiprocessing_context=context)
        with pytest.raises(FormatError, match="batch_size=None, num_workers=0"):
            next(iter(loader))
        assert next(batches)["number"].shape == (16,)


def test_tensors_share_the_memory_of_the_batch_and_pictures_come_channels_first(train):
    with make_reader(train, batch_size=8, shuffle=Shuffle(seed=1)) as plain:
        wanted = next(plain)["image"]
    columns = ["image", "label_index", "entity_id"]
    seen = []
    reader = make_reader(
        train,
        columns=columns,
        batch_size=8,
        shuffle=Shuffle(seed=1),
        transform=lambda batch: seen.append(batch) or batch,
    )
    with tensors(reader, channels_first=["image"], device="cpu") as batches:
        batch = next(iter(batches))
        assert batch["image"].shape == (8, 3, 6, 5)
        assert batch["image"].is_contiguous(memory_format=torch.channels_last)
        assert (batch["image"].permute(0, 2, 3, 1).numpy() == wanted).all()
        assert batch["image"].data_ptr() in [each["image"].ctypes.data for each in seen]
        assert batch["label_index"].dtype == torch.int64
        assert isinstance(batch["entity_id"], list)
        assert len(batches) == 13


def test_nulls_are_refused_marked_or_filled(train):
    def weights(**options: Any) -> dict[str, Any]:
        with tensors(make_reader(train, columns=["weight"], batch_size=101), **options) as batches:
            return next(iter(batches))

    with pytest.raises(FormatError, match="column weight holds nulls.*fill them in the reader's transform"):
        weights()
    marked = weights(nulls="mask")
    assert marked["weight"].shape == marked["weight_valid"].shape == (101,)
    assert int((~marked["weight_valid"]).sum()) == 15
    assert marked["weight"][~marked["weight_valid"]].tolist() == [0.0] * 15
    filled = weights(nulls={"weight": -1.0})
    assert int((filled["weight"] == -1).sum()) == 15
    assert "weight_valid" not in filled


def test_a_transform_may_fill_nulls_and_give_arrays_that_torch_cannot_share(train):
    def transform(batch: dict[str, Any]) -> dict[str, Any]:
        fixed = batch["image"].copy()
        fixed.flags.writeable = False
        return {"weight": batch["weight"].filled(np.nan), "flipped": batch["image"][:, :, ::-1], "fixed": fixed}

    reader = make_reader(train, columns=["weight", "image"], batch_size=101, transform=transform)
    with tensors(reader) as batches:
        batch = next(iter(batches))
    assert int(batch["weight"].isnan().sum()) == 15
    assert torch.equal(batch["flipped"].flip(2), batch["fixed"])


@pytest.fixture(scope="module")
def ragged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six samples of different sizes; sample 4 has nulls."""
    fields = (
        Field("entity_id", pa.string()),
        Field("number", pa.int64(), nullable=True),
        Field("tokens", pa.list_(pa.int32()), nullable=True),
        Field("photo", pa.binary(), codec="image"),
        Field("signal", pa.binary(), codec="npy", dtype="float32"),
        Field("day", pa.date32(), nullable=True),
    )
    import io

    def npy(array: np.ndarray) -> bytes:
        stream = io.BytesIO()
        np.save(stream, array)
        return stream.getvalue()

    rows = [
        {
            "entity_id": f"id-{at}",
            "split": "train",
            "number": None if at == 4 else at,
            "tokens": None if at == 4 else list(range(at)),
            "photo": png(np.full((at + 1, 7 - at, 3), at + 1, np.uint8)),
            "signal": npy(np.full((2, at + 1), at, np.float32)),
            "day": None if at == 4 else np.datetime64("2024-01-01").item(),
        }
        for at in range(6)
    ]
    folder = tmp_path_factory.mktemp("ragged") / "v1"
    write_dataset(rows, fields, folder, seed=3, dataset_id="d1")
    return folder / "train"


def whole(folder: Path, *columns: str, **options: Any) -> dict[str, Any]:
    """Read everything as one batch."""
    with tensors(make_reader(folder, columns=["entity_id", *columns], batch_size=6), **options) as batches:
        return next(iter(batches))


def test_lists_come_padded_nested_or_as_a_list(ragged):
    padded = whole(ragged, "tokens", ragged={"tokens": "pad"}, nulls="mask")
    order = [int(name[3:]) for name in padded["entity_id"]]
    assert padded["tokens"].dtype == torch.int32
    assert padded["tokens"].shape == (6, 5)
    assert padded["tokens_lengths"].tolist() == [0 if at == 4 else at for at in order]
    assert padded["tokens_valid"].tolist() == [at != 4 for at in order]
    assert padded["tokens"][order.index(3)].tolist() == [0, 1, 2, 0, 0]

    nested = whole(ragged, "tokens", ragged={"tokens": "nested"}, nulls={"tokens": []})
    assert nested["tokens"].layout == torch.jagged
    listed = whole(ragged, "tokens", ragged={"tokens": "list"}, nulls={"tokens": [-1]})
    assert [each.tolist() for each in listed["tokens"]] == [[-1] if at == 4 else list(range(at)) for at in order]
    lengths = [len(each) for each in nested["tokens"].unbind()]
    assert lengths == [0 if at == 4 else at for at in order]
    assert isinstance(whole(ragged, "tokens")["tokens"][order.index(3)], np.ndarray)  # not named: as it is
    with pytest.raises(FormatError, match="column tokens holds nulls"):
        whole(ragged, "tokens", ragged={"tokens": "pad"})


def test_pictures_of_different_sizes_come_padded_or_as_a_list(ragged):
    padded = whole(ragged, "photo", ragged={"photo": "pad"}, channels_first=["photo"])
    order = [int(name[3:]) for name in padded["entity_id"]]
    assert padded["photo"].shape == (6, 3, 6, 7)
    assert padded["photo_sizes"].tolist() == [[at + 1, 7 - at] for at in order]
    assert [int((each > 0).sum()) for each in padded["photo"]] == [3 * (at + 1) * (7 - at) for at in order]
    listed = whole(ragged, "photo", ragged={"photo": "list"}, channels_first=["photo"])
    assert [tuple(each.shape) for each in listed["photo"]] == [(3, at + 1, 7 - at) for at in order]


def test_arrays_of_unknown_shape_are_padded_in_all_axes(ragged):
    padded = whole(ragged, "signal", ragged={"signal": "pad"})
    assert padded["signal"].shape == (6, 2, 6)
    assert sorted(padded["signal_sizes"].tolist()) == [[2, at + 1] for at in range(6)]


def test_dates_and_numbers_with_nulls_side_by_side(ragged):
    batch = whole(ragged, "day", "number", nulls={"number": -1})
    assert np.ma.count_masked(batch["day"]) == 1
    assert sorted(batch["number"].tolist()) == [-1, 0, 1, 2, 3, 5]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"channels_first": ["nope"]}, "channels_first names"),
        ({"ragged": {"nope": "pad"}}, "ragged names"),
        ({"nulls": {"nope": 0}}, "nulls names"),
        ({"nulls": "ignore"}, "nulls is 'error', 'mask' or"),
        ({"nulls": {"number": 0.5}}, "is no value of int64"),
        ({"nulls": {"number": float("nan")}}, "is no value of int64"),
        ({"nulls": {"entity_id": 0}}, "is no value of string"),
        ({"nulls": {"day": 0}}, "is no value of datetime64"),
        ({"ragged": {"tokens": "stack"}}, "'pad', 'nested' or 'list'"),
        ({"ragged": {"entity_id": "pad"}}, "no arrays that could be padded"),
        ({"ragged": {"photo": "nested"}}, "more than one axis varies"),
        ({"ragged": {"signal": "nested"}}, "more than one axis varies"),
    ],
)
def test_options_that_do_not_fit_the_columns_are_refused(ragged, options, said):
    with make_reader(ragged, batch_size=2) as reader, pytest.raises(FormatError, match=said):
        tensors(reader, **options)


def test_columns_of_one_shape_are_not_ragged(train):
    with make_reader(train, batch_size=2) as reader, pytest.raises(FormatError, match="image has a fixed shape"):
        tensors(reader, ragged={"image": "pad"})


def test_tensors_resume_exactly(train):
    def make() -> Any:
        reader = make_reader(train, columns=["image", "number"], batch_size=16, shuffle=Shuffle(seed=1))
        return tensors(reader, channels_first=["image"])

    assert_resumes_exactly(make, every=3)


def test_a_trainer_that_counts_batches_and_never_asks_for_the_end_gets_every_epoch(train, look_ahead):
    def make() -> Any:
        return tensors(make_reader(train, columns=["number"], batch_size=16, shuffle=Shuffle(seed=1)))

    def count_out(batches: Any) -> list[list[int]]:
        each = iter(batches)
        return [next(each)["number"].tolist() for _ in range(len(batches))]

    for kind in (make, look_ahead):
        with make() as plain, kind() as batches, kind() as resumed:
            epochs = [[batch["number"].tolist() for batch in plain] for _ in range(3)]
            assert [count_out(batches) for _ in range(2)] == epochs[:2]
            resumed.load_state_dict(batches.state_dict())
            assert count_out(resumed) == epochs[2]


def test_an_epoch_can_be_chosen(train):
    def first(batches: Any) -> list[int]:
        return next(iter(batches))["number"].tolist()

    def make() -> Any:
        return tensors(make_reader(train, columns=["number"], batch_size=16, shuffle=Shuffle(seed=1)))

    with make() as one, make() as other:
        for _ in one:
            pass
        wanted = first(one)  # of epoch 1
        other.set_epoch(1)
        assert first(other) == wanted


# ------------------------------------------------------------------------------------- look-ahead, CUDA


class CountedCopies:
    """In place of copies to a CUDA device: the same batch, and what was asked for."""

    def __init__(self, device: Any) -> None:
        self.calls = Counter[str]()

    def start(self, batch: Any) -> Any:
        self.calls["start"] += 1
        return batch

    def finish(self, copy: Any) -> Any:
        self.calls["finish"] += 1
        return copy

    def close(self) -> None:
        self.calls["close"] += 1


@pytest.fixture
def look_ahead(train: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a maker of readers that look ahead as if to a CUDA device."""
    monkeypatch.setattr(loaders_torch, "_CudaCopies", CountedCopies)
    monkeypatch.setattr(loaders_torch, "_check_cuda", lambda what: None)

    def make(**options: Any) -> Any:
        reader = make_reader(train, columns=["number"], batch_size=16, shuffle=Shuffle(seed=1), **options)
        return tensors(reader, device="cuda")

    return make


def test_the_next_batch_is_on_its_way_while_one_is_used_and_the_state_does_not_count_it(look_ahead):
    with look_ahead() as batches:
        next(batches)
        assert batches._copies.calls == {"start": 2, "finish": 1}
        assert batches.reader.state_dict()["step"] == 2
        assert batches.state_dict()["step"] == 1
    assert batches._copies.calls["close"] == 1


def test_looking_ahead_changes_neither_batches_nor_states(look_ahead, train):
    assert_resumes_exactly(look_ahead, every=3)
    with look_ahead() as batches, make_reader(
        train, columns=["number"], batch_size=16, shuffle=Shuffle(seed=1)
    ) as plain:  # fmt: skip
        for _ in range(2):  # the second pass is the next epoch
            for wanted in plain:
                assert next(batches)["number"].tolist() == wanted["number"].tolist()
                assert batches.state_dict() == plain.state_dict()
            with pytest.raises(StopIteration):
                next(batches)
            assert batches.state_dict() == plain.state_dict()
        next(batches)
        state = batches.state_dict()
        second = next(batches)["number"].tolist()
        batches.load_state_dict(state)
        assert next(batches)["number"].tolist() == second


def test_an_error_of_the_next_batch_waits_until_that_is_asked_for(look_ahead, train):
    def transform(batch: Any) -> Any:
        if 0 in batch["number"]:
            raise ValueError("sample 0")
        return batch

    def steps_until_error(batches: Any) -> int:
        """Read up to the error, which comes again when asked again."""
        with batches:
            for step in range(7):
                try:
                    next(batches)
                except TransformError:
                    assert batches.state_dict()["step"] == step
                    with pytest.raises(TransformError, match="sample 0"):
                        next(batches)
                    return step
        raise AssertionError("no error")

    batches = look_ahead(transform=transform)
    assert steps_until_error(batches) == steps_until_error(
        make_reader(train, columns=["number"], batch_size=16, shuffle=Shuffle(seed=1), transform=transform)
    )
    assert batches._copies.calls["start"] == batches._copies.calls["finish"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="what is said without a CUDA device")
def test_without_a_cuda_device_it_is_said_at_once(train):
    with make_reader(train, batch_size=8) as reader:
        with pytest.raises(FormatError, match="device='cuda' needs a CUDA device"):
            tensors(reader, device="cuda")
        with pytest.raises(FormatError, match="pin=True needs a CUDA device"):
            tensors(reader, pin=True)
    with pytest.raises(FormatError, match="pinned memory needs a CUDA device"):
        pinned(10)


@needs_cuda
def test_batches_on_a_cuda_device_equal_those_of_the_cpu(train, ragged):
    for options in ({}, {"options": ReadOptions(allocate=pinned)}):
        settings: Any = {"columns": ["image", "number"], "batch_size": 8, "shuffle": Shuffle(seed=1), **options}
        with make_reader(train, **settings) as plain, tensors(make_reader(train, **settings), device="cuda") as there:
            for wanted, found in zip(plain, there, strict=True):
                assert found["image"].is_cuda
                assert (found["image"].cpu().numpy() == wanted["image"]).all()
                assert found["number"].tolist() == wanted["number"].tolist()
    nested = whole(ragged, "tokens", ragged={"tokens": "nested"}, nulls={"tokens": []}, device="cuda")["tokens"]
    assert nested.is_cuda
    assert nested.values().tolist() == whole(
        ragged, "tokens", ragged={"tokens": "nested"}, nulls={"tokens": []}
    )["tokens"].values().tolist()  # fmt: skip


@needs_cuda
def test_tensors_are_pinned_on_request(train):
    with tensors(make_reader(train, columns=["image"], batch_size=8), pin=True) as batches:
        assert next(batches)["image"].is_pinned()
    assert torch.from_numpy(pinned(64)).is_pinned()


# ------------------------------------------------------------------------------------- ranks


def test_the_shard_comes_from_the_variables_of_torchrun(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert shard() == Shard()
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert shard() == Shard(2, 4)
    monkeypatch.setenv("RANK", "two")
    with pytest.raises(FormatError, match="RANK and WORLD_SIZE are numbers, found 'two' and '4'"):
        shard()


def test_sequences_keep_their_axis_and_channels_come_before_height_and_width(tmp_path):
    fields = [
        Field("clip", pa.string()),
        Field("t", pa.int64()),
        Field("image", pa.binary(), codec="image", shape=(6, 5, 3)),
        Field("grey", pa.binary(), codec="image", shape=(6, 5)),
        Field("tokens", pa.list_(pa.int32())),
    ]
    rows = [
        {"entity_id": f"{n}", "clip": f"c{n // 5}", "t": n % 5, "image": png(pixels(n)),
         "grey": png(pixels(n)[:, :, 0]), "tokens": list(range(n % 4))}
        for n in range(20)
    ]  # fmt: skip
    write_dataset(rows, fields, tmp_path / "v1", layout=Layout(sequence_column="clip", order_column="t"))

    def reader(columns):
        pairs = Sequence(length=2, by="clip", order="t")
        return make_reader(tmp_path / "v1" / "train", batch_size=4, columns=columns, sequence=pairs)

    names = ["image", "grey"]
    with reader(names) as plain, tensors(reader(names), channels_first=names) as found:
        wanted, batch = next(plain), next(iter(found))
        assert batch["image"].shape == (4, 2, 3, 6, 5)
        assert np.array_equal(batch["image"].numpy(), wanted["image"].transpose(0, 1, 4, 2, 3))
        assert np.array_equal(batch["grey"].numpy(), wanted["grey"]), "no channels: the axes stay as they are"
    with tensors(reader(["tokens"]), ragged={"tokens": "pad"}) as ragged, pytest.raises(FormatError, match="tokens"):
        next(iter(ragged))
