"""Objects: a path is only ever made from a hash, and a name survives byte for byte."""

from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import IngestError
from lakehouse.objects import file_uri, object_uri, placed, read_bytes, read_entity, uri_path

SHA = hashlib.sha256(b"petrel").hexdigest()


def test_an_object_is_found_by_its_hash(tmp_path):
    path = tmp_path / "objects" / SHA[:2] / SHA
    path.parent.mkdir(parents=True)
    path.write_bytes(b"petrel")
    assert object_uri(SHA) == f"objects/{SHA[:2]}/{SHA}"
    storage, name = placed(tmp_path, object_uri(SHA))
    assert f"{storage.root}/{name}" == str(path)
    assert read_bytes(tmp_path, object_uri(SHA)) == b"petrel"


@pytest.mark.parametrize("text", ["", "../../etc/passwd", SHA.upper(), SHA[:-1], SHA + "0", SHA + "\n", f"{SHA[:-1]}é"])
def test_only_a_hash_makes_an_object_path(text):
    with pytest.raises(ValueError, match="SHA-256"):
        object_uri(text)


@pytest.mark.parametrize(
    "uri",
    ["", SHA, f"objects/{SHA}", f"objects/zz/{SHA}", f"objects/../{SHA}", f"/objects/{SHA[:2]}/{SHA}",
     f"../objects/{SHA[:2]}/{SHA}", f"objects/{SHA[:2]}/../../x", "objects", f"objects/{SHA[:2]}/{SHA}\n"],
)
def test_a_relative_place_that_is_no_object_is_refused(tmp_path, uri):
    with pytest.raises(IngestError, match="not an object of the lake"):
        placed(tmp_path, uri)


@pytest.mark.parametrize("uri", ["file://host/etc/passwd", "file://"])
def test_a_file_of_another_host_is_refused_by_name(tmp_path, uri):
    with pytest.raises(IngestError, match="expected a file:// URI"):
        placed(tmp_path, uri)


@given(st.binary(min_size=1, max_size=60).filter(lambda name: b"\0" not in name and b"/" not in name))
def test_every_name_survives_as_a_uri(name):
    if name in (b".", b".."):
        return
    path = b"/data/" + name
    assert file_uri(path).isascii()
    assert uri_path(file_uri(path)) == path


def test_a_linked_file_is_read_where_it_is(tmp_path):
    path = tmp_path / "50% ä\n.bin"
    path.write_bytes(b"there")
    assert read_bytes(tmp_path / "lake", file_uri(path)) == b"there"


def test_a_missing_object_is_an_error_that_says_where_and_what_to_think_of(tmp_path):
    with pytest.raises(IngestError, match=r"cannot read objects/.*No such file.*moved or removed"):
        read_bytes(tmp_path, object_uri(SHA))


def test_a_limit_is_kept(tmp_path):
    path = tmp_path / "ten"
    path.write_bytes(b"0123456789")
    assert read_bytes(tmp_path, file_uri(path), limit=10) == b"0123456789"
    with pytest.raises(IngestError, match=r"10 bytes, limit 9; raise images\.max_bytes"):
        read_bytes(tmp_path, file_uri(path), limit=9)


def test_bytes_that_are_not_those_of_the_entity_are_an_error_and_not_a_sample(tmp_path):
    path = tmp_path / "50%#ä.bin"
    path.write_bytes(b"petrel")
    assert read_entity(tmp_path, f"{file_uri(path)}#{SHA}") == b"petrel"
    path.write_bytes(b"parrot")
    with pytest.raises(IngestError, match=rf"50%25%23%C3%A4\.bin .*expected {SHA}; .*a linked file was changed"):
        read_entity(tmp_path, f"{file_uri(path)}#{SHA}")


@pytest.mark.timeout(20)
def test_a_fifo_in_the_place_of_a_linked_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(IngestError, match="not a regular file"):
        read_bytes(tmp_path, file_uri(tmp_path / "pipe"))


def test_a_folder_in_the_place_of_a_linked_file_is_refused(tmp_path):
    with pytest.raises(IngestError, match="not a regular file"):
        read_bytes(tmp_path, file_uri(tmp_path))
