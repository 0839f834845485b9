"""What the worker processes of the tests run: a module of its own, since each of them imports it."""

from __future__ import annotations

import os
import signal
import sys
import time

from loaders.errors import CorruptionError, LoaderError


class OwnError(KeyError):
    """An error that only the worker knows."""


class SilentError(Exception):
    """An error that cannot say what it is."""

    def __str__(self):
        raise RuntimeError


ERRORS = {
    "corrupt": lambda: CorruptionError("part-1: bad", file="part-1", row_group=3, column="image"),
    "value": lambda: ValueError("no such thing"),
    "own": lambda: OwnError("ours"),
    "key": lambda: KeyError("name"),
    "unicode": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"),
    "exit": lambda: SystemExit(0),
    "stop": lambda: StopIteration(),
    "silent": lambda: SilentError(1, 2),
    "missing": lambda: FileNotFoundError(2, "No such file", "there"),
    "loader": lambda: LoaderError("plain"),
}


def build(spec, arrays):
    """Return a handler of jobs such as ["sleep", 3]."""
    found = []
    if spec == "count pickles":
        sys.addaudithook(lambda event, args: found.append(args) if event == "pickle.find_class" else None)
    count = 0

    def handle(job, payload):
        nonlocal count
        count += 1
        kind, value = job
        if kind == "echo":
            return value, payload
        if kind == "count":
            return count, b""
        if kind in ("fault once", "fault always"):  # the second attempt finds what the first wrote
            fault, at = value
            arrays[0][at] += 1
            if arrays[0][at] == 1 or kind == "fault always":
                die(fault)
            return at, b""
        if kind == "add":
            arrays[0][value] += 1
            return value, b""
        if kind == "raise":
            raise ERRORS[value]()
        if kind == "eat":
            return len(bytearray(value)), b""
        if kind == "state":
            return [os.environ["OMP_NUM_THREADS"], int(signal.getsignal(signal.SIGINT)),
                    len(signal.pthread_sigmask(signal.SIG_BLOCK, ())), len(found), "__mp_main__" in sys.modules], b""
        if kind == "pid":
            return os.getpid(), b""
        if kind == "odd":
            return {1, 2}, b""
        if kind == "sleep":
            time.sleep(value)
            return value, b""
        die(kind)
        return None, b""

    return handle


def die(fault):
    """Die, or hang, in one of several ways."""
    if fault == "exit 0":
        os._exit(0)
    elif fault == "hang":
        time.sleep(1000)
    elif fault == "hang in C":  # without ever giving the interpreter to another thread
        10 ** (10**9)
    else:
        os.kill(os.getpid(), getattr(signal, fault))


def build_that_fails(spec, arrays):
    """Fail as `spec` says."""
    if spec in ERRORS:
        raise ERRORS[spec]()
    die(spec)


def build_slowly_later(spec, arrays):
    """Be quick in the first process only."""
    arrays[0][0] += 1
    time.sleep(1.0 if arrays[0][0] > 1 else 0.0)
    return build(spec, arrays)
