"""What is written today is what the real Petastorm has read: the same pickles, byte for byte."""

from __future__ import annotations

from pathlib import Path

from tests.petastorm.check_ours import VERIFIED, pickles, write


def test_writes_the_pickles_that_the_real_one_read(tmp_path: Path) -> None:
    found = pickles(write(tmp_path))
    assert found == {file.name: file.read_bytes() for file in VERIFIED.iterdir()}


def test_what_is_stored_is_plain_text() -> None:
    assert all(file.read_bytes().isascii() for file in VERIFIED.iterdir())
