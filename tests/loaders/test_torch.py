"""Batches as tensors."""

from __future__ import annotations

import numpy as np
import pytest

from loaders import FormatError, Shuffle, make_reader
from loaders.testing import assert_resumes_exactly

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")


def test_tensors_share_the_memory_of_the_batch_and_pictures_come_channels_first(train):
    from loaders.torch import tensors

    with make_reader(train, batch_size=8, shuffle=Shuffle(seed=1)) as plain:
        wanted = next(plain)["image"]
    columns = ["image", "label_index", "entity_id"]
    reader = make_reader(train, columns=columns, batch_size=8, shuffle=Shuffle(seed=1))
    with tensors(reader, channels_first=["image"], device="cpu") as batches:
        batch = next(iter(batches))
        assert batch["image"].shape == (8, 3, 6, 5)
        assert batch["image"].is_contiguous(memory_format=torch.channels_last)
        assert (batch["image"].permute(0, 2, 3, 1).numpy() == wanted).all()
        assert batch["label_index"].dtype == torch.int64
        assert isinstance(batch["entity_id"], list)
        assert len(batches) == 13


def test_nulls_are_refused_until_a_transform_fills_them(train):
    from loaders.torch import tensors

    with tensors(make_reader(train, columns=["weight"], batch_size=101)) as batches:
        with pytest.raises(FormatError, match="fill them in the reader's transform"):
            next(iter(batches))

    def fill(batch):
        return {**batch, "weight": batch["weight"].filled(np.nan)}

    with tensors(make_reader(train, columns=["weight"], batch_size=101, transform=fill)) as batches:
        assert int(next(iter(batches))["weight"].isnan().sum()) == 15


def test_tensors_resume_exactly(train):
    from loaders.torch import tensors

    def make():
        reader = make_reader(train, columns=["image", "number"], batch_size=16, shuffle=Shuffle(seed=1))
        return tensors(reader, channels_first=["image"])

    assert_resumes_exactly(make, every=3)


def test_a_data_loader_without_workers_may_wrap_it(train):
    from loaders.torch import tensors

    with tensors(make_reader(train, columns=["number"], batch_size=16)) as batches:
        loader = torch.utils.data.DataLoader(batches, batch_size=None, num_workers=0)
        assert sum(int((~batch["is_pad"]).sum()) for batch in loader) == 101


def test_unknown_columns_are_refused(train):
    from loaders.torch import tensors

    with make_reader(train, batch_size=8) as reader, pytest.raises(FormatError, match="channels_first names"):
        tensors(reader, channels_first=["nope"])
