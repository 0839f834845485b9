"""Archives: what is in them is landed as files are, never unpacked to a disk; every trap is refused and counted."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import stat
import tarfile
import zipfile

import pyarrow as pa
import pytest

from lakehouse.errors import ConfigError
from lakehouse.ingestion.containers import open as opening
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.retention.policy import Keep
from lakehouse.query import fetch
from tests.ingestion.files import landed, png, put, source, stored_objects
from tests.ingestion.packed import MADE_AT, header, tar, zipped
from tests.lanes import examples
from tests.making import small_lake

ZERO = {"seen": 0, "stored": 0, "duplicate": 0, "refused": 0, "unchanged": 0}
GOOD = [("a/1.png", png(1)), ("a/2.png", png(2)), ("ä b.png", png(3))]


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def land_bytes(lake, folder, file, data, **options):
    put(folder, file, data)
    return land(lake, source(folder, form="archives", **options))


def rules(lake):
    return {row["path"]: row["rule"] for row in landed(lake) if row["rule"]}


@pytest.mark.parametrize(("name", "data"), [
    ("x.tar", tar(GOOD)), ("x.tar.gz", tar(GOOD, mode="w:gz")), ("x.tar.bz2", tar(GOOD, mode="w:bz2")),
    ("x.tar.zst", zstd(tar(GOOD))), ("x.zip", zipped(GOOD)), ("no_ending", zipped(GOOD, kind=zipfile.ZIP_STORED)),
])  # fmt: skip
def test_every_packing_gives_the_same_files(lake, tmp_path, name, data):
    assert land_bytes(lake, tmp_path / "drop", name, data).counts == ZERO | {"seen": 3, "stored": 3}
    where = f"file://{tmp_path}/drop/{name}"
    assert landed(lake, "path, uri, name, sha256, size_bytes, container_uri") == [
        {"path": f"{name}!/{path}", "uri": f"{where}!/{path.replace('ä b', '%C3%A4%20b')}",
         "name": path.rpartition("/")[2], "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content),
         "container_uri": where}
        for path, content in GOOD
    ]  # fmt: skip
    assert set(stored_objects(lake).values()) == {content for _, content in GOOD}
    assert entities(lake).counts["stored"] == 3


def test_a_second_run_opens_nothing_and_a_changed_archive_is_observed_anew(lake, tmp_path, monkeypatch):
    drop = tmp_path / "drop"
    first = land_bytes(lake, drop, "x.tar", tar(GOOD))
    with monkeypatch.context() as patched:
        patched.setattr(opening, "open_container", lambda *_: pytest.fail("an archive was opened again"))
        for note in (lake.runs / "fresh").iterdir():
            note.unlink()
        again = land(lake, source(drop, form="archives"))
        assert land(lake, source(drop, form="archives")).counts == again.counts
    assert again.counts == ZERO | {"seen": 3, "unchanged": 3}
    assert (first.rows_new, again.rows_new) == (4, 0)
    put(drop, "x.tar", tar([*GOOD[:2], ("ä b.png", png(30)), ("new.png", png(1))]), at=1_700_000_009)
    changed = land(lake, source(drop, form="archives"))
    assert changed.counts == ZERO | {"seen": 4, "stored": 1, "duplicate": 3}
    assert changed.rows_new == 3  # the archive, what changed in it, and what is new
    assert len(fetch(lake, "select 1 from bronze.containers")) == 2


def test_what_a_source_says_is_recorded_and_a_correction_is_observed(lake, tmp_path):
    said = {"licence": "CC0", "campaign": "june", "consent": "research only", "cadence": "daily"}
    land_bytes(lake, tmp_path / "drop", "x.tar", tar(GOOD[:1]), **said)
    assert landed(lake, ", ".join(said)) == [said]
    land(lake, source(tmp_path / "drop", form="archives", **said | {"consent": "withdrawn"}))
    assert {row["consent"] for row in landed(lake, "consent")} == {"research only", "withdrawn"}


def test_traps_of_a_tar_are_refused_and_the_rest_is_landed(lake, tmp_path):
    trapped = tar([
        ("good.png", png(1)), ("/etc/absolute.png", b"1"), ("a/../../up.png", b"2"), ("C:/drive.png", b"3"),
        header("soft", tarfile.SYMTYPE, "/etc/passwd"), header("hard", tarfile.LNKTYPE, "good.png"),
        header("fifo", tarfile.FIFOTYPE), header("device", tarfile.CHRTYPE), header("folder", tarfile.DIRTYPE),
        ("good.png", b"another"), ("inner.tar", tar(GOOD)), ("./.hidden.png", b"4"), ("last.png", png(2)),
    ])  # fmt: skip
    receipt = land_bytes(lake, tmp_path / "drop", "x.tar", trapped)
    assert rules(lake) == {
        "x.tar!//etc/absolute.png": "unsafe_name", "x.tar!/a/../../up.png": "unsafe_name",
        "x.tar!/C:/drive.png": "unsafe_name", "x.tar!/soft": "symlink", "x.tar!/hard": "hard_link",
        "x.tar!/fifo": "not_a_regular_file", "x.tar!/device": "not_a_regular_file", "x.tar!/good.png": "duplicate_name",
    }  # fmt: skip
    assert receipt.counts == ZERO | {"seen": 11, "stored": 3, "refused": 8}
    assert {note.rule: note.count for note in receipt.notes if note.rule in ("left_out", "nested_archive")} == {
        "left_out": 1, "nested_archive": 1
    }
    assert sorted(os.listdir(tmp_path)) == ["drop", "lake"]
    assert land(lake, source(tmp_path / "drop", form="archives")).counts == ZERO | {
        "seen": 11, "refused": 8, "unchanged": 3
    }


def test_traps_of_a_zip_are_refused_and_the_rest_is_landed(lake, tmp_path):
    link = zipfile.ZipInfo("soft")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = bytearray(zipped([
            ("good.png", png(1)), ("../up.png", b"1"), ("/absolute.png", b"2"), ("back\\..\\up.png", b"3"),
            (link, b"/etc/passwd"), ("good.png", b"another"), ("broken.png", b"A" * 99), ("secret.png", b"5"),
            ("folder/", b""), ("odd.png", b"6"),
        ], kind=zipfile.ZIP_STORED))  # fmt: skip
    place = data.index(b"A" * 99)
    data[place] ^= 1
    directory = data.rindex(b"secret.png") - 46
    data[directory + 8] |= 1  # encrypted
    directory = data.rindex(b"odd.png") - 46
    data[directory + 10] = 97  # a method that nobody has
    receipt = land_bytes(lake, tmp_path / "drop", "x.zip", bytes(data))
    assert rules(lake) == {
        "x.zip!/../up.png": "unsafe_name", "x.zip!//absolute.png": "unsafe_name", "x.zip!/soft": "symlink",
        "x.zip!/back\\..\\up.png": "unsafe_name", "x.zip!/good.png": "duplicate_name",
        "x.zip!/broken.png": "archive_broken", "x.zip!/secret.png": "encrypted",
        "x.zip!/odd.png": "unsupported_compression",
    }  # fmt: skip
    assert receipt.counts == ZERO | {"seen": 9, "stored": 1, "refused": 8}


def test_names_of_a_zip_that_say_no_encoding_are_utf_8_where_they_can_be(lake, tmp_path):
    data = zipped([("caf\u00e9.png", png(1))])
    unsaid = bytearray(data)
    for place in (data.index(b"caf") - 24, data.rindex(b"caf") - 38):
        unsaid[place + 1] &= ~0x08
    land_bytes(lake, tmp_path / "drop", "x.zip", bytes(unsaid))
    assert [row["path"] for row in landed(lake)] == ["x.zip!/café.png"]


CUT = examples(3, long=200)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_what_came_before_the_place_where_an_archive_is_cut_counts_and_the_rest_is_a_reject(tmp_path, mode):
    files = [(f"{number}.bin", random.Random(number).randbytes(3000)) for number in range(8)]
    data = tar(files, mode=mode)
    places = random.Random(7)
    with small_lake(tmp_path / "lake") as lake:
        for number in range(CUT):
            cut = places.randrange(600, len(files) * (512 + 3072) if mode == "w" else len(data) - 8)
            drop = tmp_path / f"drop_{number}"
            receipt = land_bytes(lake, drop, "x.tar", data[:cut], name=f"cut_{number}")
            kept = receipt.counts["stored"] + receipt.counts["duplicate"]
            assert receipt.counts["refused"] in (1, 2), cut
            if mode == "w":
                assert kept == cut // 3584 or (kept == cut // 3584 + 1 and cut % 3584 > 3512), cut
            assert receipt.counts["seen"] == kept + receipt.counts["refused"]
            rows = fetch(lake, "select path, sha256 from bronze.landed_files where source = $name and "
                         "status = 'stored' order by path", params={"name": f"cut_{number}"})  # fmt: skip
            assert [(row["path"], row["sha256"]) for row in rows] == [
                (f"x.tar!/{name}", hashlib.sha256(content).hexdigest()) for name, content in files[:kept]
            ]
        whole = land_bytes(lake, tmp_path / "whole", "x.tar", data)
        assert (whole.counts["seen"], whole.counts["refused"]) == (len(files), 0)


def test_an_archive_that_was_cut_is_opened_again_and_lands_what_was_missing(lake, tmp_path):
    data = tar(GOOD)
    land_bytes(lake, tmp_path / "drop", "x.tar", data[:1400])
    assert land(lake, source(tmp_path / "drop", form="archives")).counts == ZERO | {
        "seen": 2, "duplicate": 1, "refused": 1
    }
    assert land_bytes(lake, tmp_path / "drop", "x.tar", data).counts == ZERO | {"seen": 3, "stored": 2, "duplicate": 1}


def test_a_damaged_header_in_the_middle_is_not_taken_for_the_end(lake, tmp_path):
    data = bytearray(tar(GOOD))
    data[1024 + 148] ^= 0x55  # the checksum of the second header: tarfile ends there without a word
    assert land_bytes(lake, tmp_path / "drop", "x.tar", bytes(data)).counts == ZERO | {
        "seen": 2, "stored": 1, "refused": 1
    }
    assert rules(lake) == {"x.tar": "archive_broken"}


def test_bytes_that_changed_in_a_packed_tar_are_told_by_its_checksum(lake, tmp_path):
    data = bytearray(tar([("1.bin", random.Random(1).randbytes(5000)), ("2.bin", b"2")], mode="w:gz"))
    data[3000] ^= 1  # random bytes are stored as they are: it unpacks all the same
    assert land_bytes(lake, tmp_path / "drop", "x.tar.gz", bytes(data)).counts["refused"] == 1
    assert rules(lake) == {"x.tar.gz": "archive_broken"}


def test_what_follows_the_end_of_a_tar_is_told(lake, tmp_path):
    land_bytes(lake, tmp_path / "drop", "x.tar", tar(GOOD[:1]) + tar(GOOD[1:]))
    assert rules(lake) == {"x.tar": "trailing_data"}


@pytest.mark.parametrize("name", ["x.tar.gz", "x.zip"])
def test_a_bomb_is_stopped_at_its_ratio_and_what_came_before_counts(tmp_path, name):
    zeros = [(f"{number}.bin", bytes(40 << 20)) for number in range(3)]
    entries = [("1.png", png(1)), *zeros]
    data = tar(entries, mode="w:gz") if name.endswith("gz") else zipped(entries)
    with small_lake(tmp_path / "lake") as lake:
        receipt = land_bytes(lake, tmp_path / "drop", name, data)
        assert rules(lake)[name] == "archive_bomb"
        assert receipt.counts["stored"] == 2
        assert len(data) < 1 << 20


@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_holes_of_a_sparse_file_count_as_what_comes_out(lake, tmp_path, form):
    data = tar([GOOD[0]])[:1024] + holes("holes.bin", 4 << 30, form=form) + bytes(10240)
    assert land_bytes(lake, tmp_path / "drop", "x.tar", data).counts["stored"] == 1
    assert rules(lake) == {"x.tar": "archive_bomb"}


def test_a_bomb_that_says_its_size_is_stopped_before_it_is_unpacked(lake, tmp_path):
    zeros = tarfile.TarInfo("zeros.bin")
    zeros.size = 1 << 30
    data = gzip.compress(tar([GOOD[0]])[:1024] + zeros.tobuf() + bytes(1 << 20))  # cut: nobody is to come so far
    land_bytes(lake, tmp_path / "drop", "x.tar.gz", data)
    assert rules(lake) == {"x.tar.gz": "archive_bomb"}


def holes(name, size, *, form):
    """A file of holes alone, as GNU tar writes it: `--sparse`, and with `--format=posix`."""
    found = tarfile.TarInfo(name)
    if form == "pax":
        found.size = 512
        found.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": name,
                             "GNU.sparse.realsize": str(size)}  # fmt: skip
        return found.tobuf(tarfile.PAX_FORMAT) + f"1\n{size}\n0\n".encode().ljust(512, b"\0")
    found.type = tarfile.GNUTYPE_SPARSE
    raw = bytearray(found.tobuf(tarfile.GNU_FORMAT))
    raw[386:410], raw[483:495] = b"%011o\x00%011o\x00" % (size, 0), b"%011o\x00" % size
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\x00 " % sum(raw)
    return bytes(raw)


def test_limits_of_files_and_bytes_stop_an_archive(tmp_path):
    data = tar(GOOD)
    for setting in ("land.max_members=2", "land.max_unpacked_bytes=2500"):
        with small_lake(tmp_path / setting, setting) as lake:
            receipt = land_bytes(lake, tmp_path / "drop", "x.tar", data)
            assert receipt.counts["refused"] >= 1
            assert rules(lake)["x.tar"] == "archive_bomb"
    with small_lake(tmp_path / "small_files", "land.max_file_bytes=100") as lake:
        land_bytes(lake, tmp_path / "drop", "x.tar", tar([("big.bin", b"x" * 101), *GOOD]))
        assert rules(lake) == {"x.tar!/big.bin": "too_large"}


def test_a_header_that_wants_gigabytes_for_a_name_is_refused(lake, tmp_path):
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    data = tar([GOOD[0]])[:1024] + long_name.tobuf(tarfile.GNU_FORMAT)
    land_bytes(lake, tmp_path / "drop", "x.tar", data + bytes(10240))
    assert rules(lake) == {"x.tar": "archive_broken"}


@pytest.mark.parametrize("data", [b"", b"no archive at all", b"PK\x03\x04 cut", b"\xfd7zXZ\x00 xz", b"\x1f\x8b\x08 cut",
                                  os.urandom(4096)])  # fmt: skip
def test_what_is_no_archive_is_refused(lake, tmp_path, data):
    assert land_bytes(lake, tmp_path / "drop", "x.zip", data).counts == ZERO | {"seen": 1, "refused": 1}
    assert set(rules(lake).values()) <= {"not_an_archive", "archive_broken"}


def test_an_archive_can_be_named_itself_and_patterns_choose_what_is_in_it(lake, tmp_path):
    put(tmp_path / "drop", "x[1].tar", tar([*GOOD, ("notes.txt", b"left out")]))
    put(tmp_path / "drop", "other.tar", tar([("9.png", png(9))]))
    receipt = land(lake, source(tmp_path / "drop" / "x[1].tar", form="archives", include=("a/*",)))
    assert receipt.counts == ZERO | {"seen": 2, "stored": 2}
    assert next(note.count for note in receipt.notes if note.rule == "left_out") == 2


def test_an_object_that_is_lost_is_healed_from_its_archive(lake, tmp_path):
    land_bytes(lake, tmp_path / "drop", "x.tar", tar(GOOD))
    next((lake.root / "objects").rglob(hashlib.sha256(png(2)).hexdigest())).unlink()
    receipt = land(lake, source(tmp_path / "drop", form="archives"))
    assert receipt.counts["healed"] == 1
    assert len(stored_objects(lake)) == 3


def test_a_lost_archive_is_told_and_its_files_stay(lake, tmp_path):
    land_bytes(lake, tmp_path / "drop", "x.tar", tar(GOOD))
    put(tmp_path / "drop", "y.tar", tar(GOOD[:1]))
    land(lake, source(tmp_path / "drop", form="archives"))
    (tmp_path / "drop" / "y.tar").unlink()
    receipt = land(lake, source(tmp_path / "drop", form="archives"))
    assert (receipt.counts["gone"], receipt.counts["unchanged"]) == (1, 3)


@pytest.mark.parametrize("options", [
    {"mode": "link"}, {"sidecar": "x.csv"}, {"options": {"colour": 1}}, {"keep": Keep(sample=0.5)}
])  # fmt: skip
def test_what_archives_cannot_do_is_refused_with_a_reason(tmp_path, options):
    with pytest.raises(ConfigError, match="mode = copy|same key|unknown option|leave keep out"):
        source(tmp_path, form="archives", **options)


def test_a_sparse_file_in_an_archive_streams_within_little_memory(lake, tmp_path):
    made = tarfile.TarInfo("zeros.bin")
    made.size, made.mtime = 48 << 20, MADE_AT
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(made, io.BytesIO(bytes(48 << 20)))
    put(tmp_path / "drop", "x.tar", buffer.getvalue())
    del buffer
    before = pa.total_allocated_bytes()
    assert land(lake, source(tmp_path / "drop", form="archives")).counts["stored"] == 1
    assert pa.total_allocated_bytes() - before < 8 << 20
