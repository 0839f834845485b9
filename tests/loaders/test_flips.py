"""One flipped bit anywhere: never a wrong value, always an error that names the place, or the rest in its order."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from loaders import CorruptionError, DecodeError, Field, FormatError, LoaderError, ReadOptions, Shuffle, make_reader
from loaders import write_dataset as write
from loaders.decoding.arrays import npy_header
from loaders.stores.local import LocalFiles
from tests.loaders.everything import FIELDS, flip, places, write_everything, wrong_cells

ROWS = 23
RAISE = ReadOptions(deadline_s=20, workers=2)
SKIP = replace(RAISE, on_error="skip")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Every kind of column but rows that are read straight from the file."""
    return write_everything(tmp_path_factory.mktemp("small") / "v", ROWS, columns={f.name for f in FIELDS} - {"large"})


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """With such rows."""
    columns = {"entity_id", "number", "large", "image"}
    return write_everything(tmp_path_factory.mktemp("large") / "v", ROWS, columns=columns)


def read(train, options):
    """Return the numbers delivered, in order, and the errors of those left out; wrong values fail the test."""
    with make_reader(train, batch_size=4, shuffle=Shuffle(3), options=options) as reader:
        found = []
        for batch in reader:
            assert not wrong_cells(batch)
            found += batch["number"][~batch["is_pad"]].tolist()
        return found, reader.skipped


def outcome(train, options, *, names_row_group=True):
    """Return what became of a damaged split."""
    raised = None
    try:
        found, skipped = read(train, options)
    except LoaderError as error:
        raised = error
    if raised is not None:
        assert not names_row_group or (raised.file and raised.row_group is not None), repr(raised)
        return type(raised).__name__
    assert len(found) + len(skipped) == ROWS, "what is lost is counted"
    assert all(error.file and (error.row_group is not None or not names_row_group) for error in skipped)
    whole, _ = read_whole(train)
    assert found == [number for number in whole if number in set(found)], "the rest is in its order"
    return "skipped" if skipped else "harmless"


WHOLE = {}


def read_whole(train):
    """Return what the intact split gives."""
    return WHOLE[train]


def bits_of(train, count, seed):
    """Return (file, bit) in headers and bodies of pages of all columns, evenly."""
    dice = random.Random(seed)
    targets = [(part, heads, bodies) for part in sorted(train.glob("part-*")) for _, _, heads, bodies in places(part)]
    for at in range(count):
        part, heads, bodies = dice.choice(targets)
        begin, end = dice.choice([span for span in (heads, bodies)[at % 2] if span[1] > span[0]] or heads)
        yield part, dice.randrange(8 * begin, 8 * end)


@pytest.mark.parametrize(("which", "count"), [("small", 90), ("large", 40)])
def test_a_flipped_bit_is_an_error_a_skip_or_harmless(request, which, count):
    train = request.getfixturevalue(which)
    WHOLE[train] = read(train, RAISE)
    assert sorted(WHOLE[train][0]) == list(range(ROWS))
    seen = Counter()
    for at, (part, bit) in enumerate(bits_of(train, count, seed=5)):
        flip(part, bit)
        try:
            seen[outcome(train, SKIP if at % 4 < 2 else RAISE)] += 1
        finally:
            flip(part, bit)
    assert set(seen) == {"CorruptionError", "skipped", "harmless"}
    assert seen["harmless"] < count / 4, "only bits of headers that nobody reads"


def test_several_flipped_bits_lose_their_row_groups_in_worker_processes_too(large, small):
    for train in (large, small):
        WHOLE[train] = read(train, RAISE)
        flips = list(bits_of(train, 6, seed=2))
        for part, bit in flips:
            flip(part, bit)
        try:
            assert outcome(train, replace(SKIP, pool="processes")) == "skipped"
            assert outcome(train, replace(RAISE, pool="processes")) == "CorruptionError"
        finally:
            for part, bit in flips:
                flip(part, bit)


@pytest.mark.parametrize("pool", ["threads", "processes", "inline"])
def test_damage_in_rows_that_are_read_straight_from_the_file_is_named_and_skipped(large, tmp_path, pool):
    """Bits of a page's size were found only after the rows were planned: blank rows came unmarked."""
    part = sorted(large.glob("part-*"))[0]
    WHOLE[large] = read(large, RAISE)
    group, column, heads, bodies = next(place for place in places(part) if place[1] == "large" and place[0] == 1)
    for offset in (heads[2][0] + 3, bodies[2][0] + 5000):  # the size in the header; the values
        flip(part, 8 * offset)
        try:
            with pytest.raises(CorruptionError, match=r"row group 1, (row \d+, )?column large: ") as caught:
                read(large, replace(RAISE, pool=pool))
            assert (caught.value.file, caught.value.row_group, caught.value.column) == (str(part), group, column)
            assert outcome(large, replace(SKIP, pool=pool)) == "skipped"
        finally:
            flip(part, 8 * offset)


def test_flips_in_footers_and_manifests_are_refused_or_harmless(small):
    WHOLE[small] = read(small, RAISE)
    dice = random.Random(3)
    seen = Counter()
    for at in range(60):
        path = small / "_manifest.json" if at % 3 else dice.choice(sorted(small.glob("part-*")))
        size = path.stat().st_size
        bit = 8 * (dice.randrange(size) if at % 3 else size - 1 - dice.randrange(2000)) + dice.randrange(8)
        flip(path, bit)
        try:
            seen[outcome(small, SKIP if at % 2 else RAISE, names_row_group=False)] += 1
        finally:
            flip(path, bit)
    assert seen["CorruptionError"] > 5
    assert seen["FormatError"] > 20


def test_a_sample_with_two_kinds_of_damage_counts_once(tmp_path):
    fields = (Field("entity_id", pa.string()), Field("a", pa.binary(), codec="image", shape=(2, 2, 3)),
              Field("b", pa.binary(), codec="npy", dtype="float32"), Field("n", pa.int64()))  # fmt: skip
    write([{"entity_id": "x", "a": b"no picture", "b": b"no array", "n": 7}], fields, tmp_path / "v")
    with make_reader(tmp_path / "v" / "train", batch_size=1, options=SKIP) as reader:
        assert next(reader)["is_pad"].tolist() == [True]
        assert len(reader.skipped) == 1


def raise_first(found, skipped):
    """Raise the error for which everything was skipped."""
    assert not found
    raise skipped[0]


@pytest.mark.parametrize("options", [RAISE, SKIP])
def test_files_that_are_cut_swapped_or_gone_are_named(small, tmp_path, options):
    for change in ("cut", "longer", "swapped", "gone", "folder", "fifo"):
        train = tmp_path / change
        shutil.copytree(small, train)
        part = train / "part-00000.parquet"
        if change == "cut":
            os.truncate(part, part.stat().st_size - 100)
        elif change == "longer":
            part.write_bytes(part.read_bytes() + b"x")
        elif change == "swapped":
            middle = bytearray(part.read_bytes())
            part.write_bytes(middle[::-1])
        else:
            part.unlink()
            {"gone": lambda _: None, "folder": os.mkdir, "fifo": os.mkfifo}[change](part)
        with pytest.raises(CorruptionError, match=r"part-00000\.parquet") as caught:
            raise_first(*read(train, options))
        assert caught.value.file == str(part)


@pytest.mark.parametrize("change", ["cut", "gone"])
def test_files_that_are_cut_or_removed_while_they_are_read_are_named(large, tmp_path, change, monkeypatch):
    monkeypatch.setitem(LocalFiles.__init__.__kwdefaults__, "kept_open", 0)
    train = tmp_path / change
    shutil.copytree(large, train)
    part = sorted(train.glob("part-*"))[1]
    with make_reader(train, batch_size=1, options=replace(RAISE, prefetch=1)) as reader:
        next(reader)
        part.unlink() if change == "gone" else os.truncate(part, 1000)
        with pytest.raises(CorruptionError, match=part.name):
            list(reader)


HEADER = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"


def npy(header, body=b"\0" * 24):
    """Return a `.npy` file."""
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + body


def test_headers_of_npy_files_are_read_without_the_compiler():
    assert npy_header(memoryview(npy(HEADER))) == (np.dtype("float32"), False, (2, 3), 10 + len(HEADER))
    hostile = [b"", b"{" * 9000, b"(" * 9000, b"-" * 9000 + b"1", HEADER.replace(b"(2, 3)", b"(-2, 3)"),
               HEADER.replace(b"(2, 3)", b"(2**9, 3)"), HEADER.replace(b"<f4", b"|O"), HEADER + b"[]",
               HEADER.replace(b"False", b"__import__('os').system('false')"), HEADER[:-20]]  # fmt: skip
    for header in hostile:
        with pytest.raises(DecodeError):
            npy_header(memoryview(npy(header)))


def test_npy_files_that_claim_more_than_they_hold_take_no_memory(tmp_path):
    fields = (Field("entity_id", pa.string()), Field("x", pa.binary(), codec="npy", dtype="float32"))
    shapes = [b"(1000000000000,)", b"(2, 4)", b"(0, 1" + b"0" * 30 + b")", b"(" + b"9" * 5000 + b",)"]
    for at, shape in enumerate(shapes):
        raw = npy(HEADER.replace(b"(2, 3)", shape))
        write([{"entity_id": "a", "x": raw}], fields, tmp_path / f"{at}")
        with make_reader(tmp_path / f"{at}" / "train", batch_size=1) as reader, pytest.raises(DecodeError):
            next(reader)


def test_a_manifest_with_hostile_numbers_is_refused_by_name(small, tmp_path):
    text = (small / "_manifest.json").read_text()
    (tmp_path / "_manifest.json").write_text(text.replace('"format_version": 1', '"format_version": ' + "9" * 5000))
    with pytest.raises(FormatError):
        make_reader(tmp_path, batch_size=1)


def test_pages_that_hold_fewer_values_than_the_footer_says_lose_no_entry_of_a_map(small):
    """No checksum covers the number of values in the header of a page: the last map came without its last entry."""
    WHOLE[small] = read(small, RAISE)
    part = sorted(small.glob("part-*"))[0]
    raw = part.read_bytes()
    heads = [heads[-1] for group, column, heads, _ in places(part) if group == 1 and column in ("votes", "words")]
    assert len(heads) == 3, "keys and values of the map, and the list"
    for begin, end in heads:
        at = raw.index(b"\x1c\x15", begin, end) + 2
        for bit in range(8):
            flip(part, 8 * at + bit)
            try:
                assert outcome(small, RAISE) == "CorruptionError"
            finally:
                flip(part, 8 * at + bit)
