"""Progress: a bar for a person, one line for a log, nothing on stdout."""

from __future__ import annotations

import logging
import os
import pty
import subprocess
import sys

import pytest

from lakehouse.progress import progress


def test_one_line_tells_what_was_done(caplog, capsys):
    with caplog.at_level(logging.INFO), progress("land photos", total=3, unit="files") as advance:
        advance(2)
        advance(1)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("land photos done=3 unit=files seconds=")
    assert capsys.readouterr().out == ""


def test_without_a_terminal_there_is_no_bar(capsys):
    with progress("land", total=None, unit="files") as advance:
        advance(1)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_there_is_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress("land", total=2, unit="files") as advance:
        advance(2)
    printed = capsys.readouterr()
    assert "land" in printed.err
    assert printed.out == ""


def test_a_terminal_that_says_it_has_no_columns_has_a_bar_too():
    ours, theirs = pty.openpty()
    code = "from lakehouse.progress import progress\n"
    code += "with progress('land', total=2, unit='files') as step: step(2)"
    subprocess.run([sys.executable, "-c", code], stderr=theirs, check=True)
    os.close(theirs)
    assert b"land: " in os.read(ours, 4096)
    os.close(ours)


def test_work_that_fails_says_how_far_it_came(caplog):
    def work():
        with progress("land", total=3, unit="files") as advance:
            advance(2)
            raise KeyError("x")

    with caplog.at_level(logging.INFO), pytest.raises(KeyError):
        work()
    assert "done=2" in caplog.text
