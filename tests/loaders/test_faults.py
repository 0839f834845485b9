"""Damage, hangs and bad samples: an error that names the place, in time, or a counted skip."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders import (
    CorruptionError,
    DeadlineError,
    DecodeError,
    Field,
    FormatError,
    Layout,
    LoaderError,
    ReadOptions,
    Shuffle,
    make_reader,
    read_manifest,
    verify,
    write_dataset,
)
from loaders.reading import source as source_module
from loaders.testing import assert_resumes_exactly
from tests.loaders.samples import SMALL, numbers_of, pixels, png, rows_of

ROOT = Path(__file__).parents[2]
SKIP = ReadOptions(on_error="skip")


def flip(path, offset):
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def page_of(path, row_group, column):
    """Return an offset inside the data page of a column."""
    group = pq.read_metadata(path).row_group(row_group)
    chunk = next(group.column(i) for i in range(group.num_columns) if group.column(i).path_in_schema == column)
    return chunk.data_page_offset + chunk.total_compressed_size - 3


def test_a_flipped_byte_in_a_page_is_an_error_that_names_file_row_group_and_column(own):
    part = own / "train" / "part-00001.parquet"
    flip(part, page_of(part, 2, "image"))
    with make_reader(own / "train", batch_size=8) as reader, pytest.raises(CorruptionError) as caught:
        list(reader)
    assert (caught.value.file, caught.value.row_group, caught.value.column) == (str(part), 2, "image")
    assert "part-00001.parquet: row group 2, column image: " in str(caught.value)
    with make_reader(own / "train", columns=["number"], batch_size=101) as reader:
        assert sorted(numbers_of(next(reader))) == list(range(101)), "other columns are not concerned"
    with pytest.raises(CorruptionError, match="part-00001"):
        verify(own)
    assert verify(own, deep=False).rows == 101


def test_a_corrupt_row_group_can_be_skipped_and_is_counted(own):
    part = own / "train" / "part-00001.parquet"
    flip(part, page_of(part, 2, "image"))
    lost = set(pq.ParquetFile(part).read_row_group(2, columns=["number"])["number"].to_pylist())
    with make_reader(own / "train", batch_size=8, shuffle=Shuffle(seed=1), options=SKIP) as reader:
        batches = list(reader)
        assert len(reader.skipped) == len(lost) > 1
        assert {(error.row_group, error.column) for error in reader.skipped} == {(2, "image")}
    assert sorted(n for batch in batches for n in numbers_of(batch)) == sorted(set(range(101)) - lost)
    assert {len(batch["number"]) for batch in batches} == {8}
    for batch in batches:
        assert all((picture == pixels(n)).all() for picture, n, pad in
                   zip(batch["image"], batch["number"], batch["is_pad"], strict=True) if not pad)  # fmt: skip
    assert_resumes_exactly(
        lambda: make_reader(own / "train", batch_size=16, shuffle=Shuffle(seed=1), options=SKIP), every=2
    )


def test_no_flipped_bit_gives_wrong_rows_silently(own, train):
    wanted = {}
    with make_reader(train, batch_size=101) as reader:
        batch = next(reader)
        wanted = {int(n): (picture.tobytes(), i) for n, picture, i in
                  zip(batch["number"], batch["image"], batch["entity_id"], strict=True)}  # fmt: skip
    part = own / "train" / "part-00000.parquet"
    intact, dice = part.read_bytes(), random.Random(7)
    found = 0
    for _ in range(60):
        flip(part, dice.randrange(len(intact)))
        try:
            with make_reader(own / "train", batch_size=101) as reader:
                batch = next(reader)
            got = {int(n): (picture.tobytes(), i) for n, picture, i in
                   zip(batch["number"], batch["image"], batch["entity_id"], strict=True)}  # fmt: skip
            assert got == wanted
        except LoaderError:
            found += 1
        with pytest.raises(LoaderError):
            verify(own)
        part.write_bytes(intact)
    assert found >= 50  # the others hit bytes of page headers that no reader uses


def test_a_file_of_another_version_under_the_same_name_is_noticed(own, tmp_path):
    rows = rows_of(101)
    for row in rows:
        row["weight"] = None if row["weight"] is None else row["weight"] + 0.25
    write_dataset(rows, read_manifest(own / "train").fields, tmp_path / "v2", seed=3, layout=SMALL)
    part = own / "train" / "part-00000.parquet"
    foreign = (tmp_path / "v2" / "train" / part.name).read_bytes()
    assert len(foreign) == part.stat().st_size, "sizes alone would not tell"
    part.write_bytes(foreign)
    with make_reader(own / "train", batch_size=8) as reader, pytest.raises(CorruptionError, match="another footer"):
        list(reader)


def test_a_file_that_no_manifest_lists_is_not_read_and_verify_names_it(own):
    part = own / "train" / "part-00000.parquet"
    (own / "train" / "part-00009.parquet").write_bytes(part.read_bytes())
    with make_reader(own / "train", batch_size=101) as reader:
        assert sorted(numbers_of(next(reader))) == list(range(101))
    with pytest.raises(FormatError, match=r"part-00009\.parquet"):
        verify(own)


def bad_image_dataset(folder, broken):
    """Sixty pictures, some of them no pictures."""
    fields = (Field("entity_id", pa.string()), Field("image", pa.binary(), codec="image", shape=(6, 5, 3)),
              Field("number", pa.int64()))  # fmt: skip
    rows = [{**row, "image": broken.get(row["number"], row["image"])} for row in rows_of(60)]
    write_dataset(rows, fields, folder, layout=Layout(row_group_bytes=2_000))
    return folder / "train"


BROKEN = {
    7: b"no picture",
    19: png(pixels(19))[:60],
    33: png(np.zeros((9, 9, 3), np.uint8)),
    40: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 6\n",
}


def test_a_picture_that_cannot_be_decoded_is_an_error_that_names_its_row(tmp_path):
    train = bad_image_dataset(tmp_path / "v1", {33: BROKEN[33]})
    with make_reader(train, batch_size=8) as reader, pytest.raises(DecodeError) as caught:
        list(reader)
    error = caught.value
    row = pq.ParquetFile(error.file).read_row_group(error.row_group, columns=["number"])["number"][error.row]
    assert (row.as_py(), error.column) == (33, "image")
    assert "expected shape (6, 5, 3), found height 9 and width 9" in str(error)


def test_bad_samples_are_skipped_and_counted_when_asked_for(tmp_path):
    train = bad_image_dataset(tmp_path / "v1", BROKEN)
    with make_reader(train, batch_size=8, shuffle=Shuffle(seed=1), options=SKIP) as reader:
        batches = list(reader)
        assert len(reader.skipped) == 4
    assert sorted(n for batch in batches for n in numbers_of(batch)) == sorted(set(range(60)) - set(BROKEN))
    blank = [(b["image"][i], b["number"][i]) for b in batches[:-1] for i in np.flatnonzero(b["is_pad"])]
    assert all(not picture.any() and number == 0 for picture, number in blank)
    options = ReadOptions(on_error="skip", tail="ragged")
    with make_reader(train, batch_size=8, shuffle=Shuffle(seed=1), options=options) as reader:
        assert sum(len(batch["number"]) for batch in reader) == 56
    options = ReadOptions(on_error="skip", skip_limit=3)
    with make_reader(train, batch_size=8, options=options) as reader, pytest.raises(DecodeError):
        list(reader)


def test_pictures_with_too_many_pixels_are_refused_before_they_are_decoded(tmp_path):
    fields = (Field("entity_id", pa.string()), Field("image", pa.binary(), codec="image", shape=(None, None, 3)))
    write_dataset([{"entity_id": "a", "image": png(np.zeros((400, 400, 3), np.uint8))}], fields, tmp_path / "v1")
    with make_reader(tmp_path / "v1" / "train", batch_size=1) as reader:
        assert next(reader)["image"][0].shape == (400, 400, 3)
    options = ReadOptions(max_pixels=100_000)
    with make_reader(tmp_path / "v1" / "train", batch_size=1, options=options) as reader:
        with pytest.raises(DecodeError, match="400x400 pixels are more than max_pixels=100,000"):
            next(reader)


def test_a_transform_that_hangs_ends_in_a_deadline_error_that_says_so(train):
    release = threading.Event()

    def hang(batch):
        release.wait(60)
        return batch

    options = ReadOptions(deadline_s=0.3, prefetch=1)
    began = time.monotonic()
    with make_reader(train, batch_size=8, transform=hang, options=options) as reader:
        with pytest.raises(DeadlineError, match="making batch 0 of epoch 0"):
            next(reader)
        with pytest.raises(TimeoutError):
            next(reader)
        assert reader.state_dict()["step"] == 0
        release.set()
        assert len(next(reader)["number"]) == 8, "the batch that was late is the next one"
    assert time.monotonic() - began < 30


def test_storage_that_hangs_ends_in_a_deadline_error_and_close_does_not_wait(train, monkeypatch):
    release = threading.Event()
    real = source_module.SplitFiles.read_group

    def stalled(self, group, names=None):
        release.wait(60)
        return real(self, group, names)

    monkeypatch.setattr(source_module.SplitFiles, "read_group", stalled)
    began = time.monotonic()
    with make_reader(train, batch_size=8, options=ReadOptions(deadline_s=0.3)) as reader:
        with pytest.raises(DeadlineError, match=r"reading row group 0 of .*part-00000\.parquet"):
            next(reader)
    assert time.monotonic() - began < 30
    release.set()


def test_a_folder_that_does_not_open_ends_in_a_deadline_error(train, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(source_module, "read_manifest", lambda folder: release.wait(60))
    with pytest.raises(DeadlineError, match="opening .*train did not end within 0.2 s"):
        make_reader(train, batch_size=8, options=ReadOptions(deadline_s=0.2))
    release.set()


def test_batches_before_the_damage_are_delivered_and_the_position_stays_before_it(own):
    part = own / "train" / "part-00001.parquet"
    flip(part, page_of(part, 0, "image"))
    good = read_manifest(own / "train").parts[0].rows // 8
    with make_reader(own / "train", batch_size=8) as reader:
        for _ in range(good):
            next(reader)
        for _ in range(2):
            with pytest.raises(CorruptionError):
                next(reader)
        assert reader.state_dict()["step"] == good


FORKED = """
import os, sys
from loaders import make_reader
reader = make_reader(sys.argv[1], columns=["number"], batch_size=8)
next(reader)
child = os.fork()
if child == 0:
    try:
        next(reader)
    except RuntimeError as error:
        os._exit(7 if "before a fork" in str(error) else 1)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
next(reader)
"""


def test_a_reader_that_was_forked_is_refused_in_the_child_and_goes_on_in_the_parent(train):
    done = subprocess.run(
        [sys.executable, "-c", FORKED, str(train)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


HANGING = """
import sys, time
from loaders import DeadlineError, ReadOptions, make_reader
reader = make_reader(sys.argv[1], batch_size=8, transform=lambda batch: time.sleep(600),
                     options=ReadOptions(deadline_s=0.3))
try:
    next(reader)
except DeadlineError:
    print("late")
"""


def test_a_program_ends_though_a_thread_of_its_reader_hangs(train):
    done = subprocess.run(
        [sys.executable, "-c", HANGING, str(train)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "late\n"), done.stderr
