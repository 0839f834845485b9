"""Several splits in one reader: every row of each once an epoch, and which split it is of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loaders import (
    CorruptionError,
    Field,
    FormatError,
    Layout,
    ReadOptions,
    Shard,
    Shuffle,
    Weights,
    make_reader,
    write_dataset,
)
from loaders.testing import assert_resumes_exactly, assert_same_batch

FIELDS = (Field("number", pa.int64()), Field("weight", pa.float64()), Field("note", pa.string()))
SIZES = {"train": 90, "val": 25, "test": 12}
FIRST = {"train": 0, "val": 1000, "test": 2000}
INLINE = ReadOptions(pool="inline")


@pytest.fixture(scope="module")
def version(tmp_path_factory) -> Path:
    rows = [
        {"entity_id": f"{split}-{at:03d}", "split": split, "number": FIRST[split] + at, "note": split,
         "weight": 1.0 if split == "train" else 3.0}
        for split, count in SIZES.items() for at in range(count)
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("joined") / "v1"
    write_dataset(rows, FIELDS, folder, seed=1, layout=Layout(row_group_bytes=250, part_bytes=600))
    return folder


def test_every_row_comes_once_and_says_its_split(version):
    with make_reader(version, splits=["val", "train"], batch_size=16, shuffle=Shuffle(seed=2), options=INLINE) as read:
        assert read.splits == ("val", "train")
        assert read.rows == 115
        batches = list(read)
    kept = [(int(n), int(s), note) for batch in batches
            for n, s, note, pad in zip(batch["number"], batch["_split"], batch["note"], batch["is_pad"], strict=True)
            if not pad]  # fmt: skip
    assert batches[0]["_split"].dtype == np.int64
    assert sorted(n for n, _, _ in kept) == [*range(90), *range(1000, 1025)]
    assert all(read.splits[split] == note for _, split, note in kept)
    with_val = [bool((batch["_split"] == 0).any()) for batch in batches]
    assert all(with_val), "the rows of splits are mixed evenly"


def test_without_a_shuffle_splits_come_one_after_the_other(version):
    with make_reader(version, splits=["test", "train"], batch_size=6, options=INLINE) as read:
        found = [int(s) for batch in read for s in batch["_split"][~batch["is_pad"]]]
    assert found == [0] * 12 + [1] * 90


def test_one_split_is_read_as_by_its_own_folder(version):
    given = {"batch_size": 8, "shuffle": Shuffle(seed=4, lanes=2), "options": INLINE}
    with make_reader(version, splits=["train"], **given) as joined, make_reader(version / "train", **given) as alone:
        assert joined.state_dict() == alone.state_dict()
        assert alone.splits == ("train",)
        for one, two in zip(joined, alone, strict=True):
            assert set(one) - set(two) == {"_split"}
            assert_same_batch({name: one[name] for name in two}, two)


def test_ranks_pools_and_restarts_agree(version):
    def make(**more):
        more = {"options": INLINE, "batch_size": 8, **more}
        return make_reader(version, splits=["train", "val"], shuffle=Shuffle(seed=3, lanes=4, window=1), **more)

    with make() as whole:
        wanted = list(whole)
    with make(options=ReadOptions(pool="processes", workers=1)) as processes:
        for at, batch in enumerate(processes):
            assert_same_batch(batch, wanted[at])
    for rank in range(2):
        with make(batch_size=4, shard=Shard(rank, 2)) as half:
            for step, batch in enumerate(half):
                for name in ("number", "_split"):
                    lanes = wanted[step][name].reshape(-1, 4)[:, 2 * rank : 2 * rank + 2]
                    assert batch[name].tolist() == lanes.reshape(-1).tolist()
    assert_resumes_exactly(make, every=6)


def test_filters_and_weights_reach_over_all_splits(version):
    def numbers(**more):
        with make_reader(version, splits=["train", "val"], batch_size=10, shuffle=Shuffle(seed=1), options=INLINE,
                         **more) as read:  # fmt: skip
            return [int(n) for batch in read for n in batch["number"][~batch["is_pad"]]]

    assert sorted(numbers(filter=[("number", "in", [3, 1003])])) == [3, 1003]
    found = numbers(weights=Weights(draws=3_300))
    assert abs(sum(n >= 1000 for n in found) - 3_300 * 75 / 165) <= 4, "by row group, to within its rounding"


def test_what_cannot_be_joined_is_said(version, tmp_path):
    for splits, words in [
        ("train", "a list of names"), ([], "a list of names"), (["train", "train"], "each once"),
        (["train", "dev"], r"has no splits \['dev'\]; it has \['test', 'train', 'val'\]"),
    ]:  # fmt: skip
        with pytest.raises(FormatError, match=words):
            make_reader(version, splits=splits, batch_size=4)
    with pytest.raises(FormatError, match="no published dataset"):
        make_reader(version / "train", splits=["train"], batch_size=4)


def test_damage_names_its_file(version, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(version, copy)
    part = sorted((copy / "val").glob("part-*"))[0]
    part.unlink()
    with pytest.raises(CorruptionError, match=f"val/{part.name}"):
        make_reader(copy, splits=["train", "val"], batch_size=4)
    shutil.copy(version / "val" / part.name, part)
    manifest = json.loads((copy / "val" / "_manifest.json").read_text())
    manifest["writer"] = {"by": "somebody"}
    (copy / "val" / "_manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(FormatError, match="another manifest than"):
        make_reader(copy, splits=["train", "val"], batch_size=4)
