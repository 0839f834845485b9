"""What runs in a worker process: how it starts, its loop, its end. `loaders.workers.pool` is the other side."""

from __future__ import annotations

import contextlib
import faulthandler
import mmap
import os
import pickle
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from loaders.workers.messages import DONE, FAILED, NO_START, READY, Bytes, Inbox, Json, describe, pack

if TYPE_CHECKING:
    from loaders.axes import Octets

Handle = Callable[[Json, bytes], tuple[Json, Bytes]]
"""What a worker does with a job: JSON and bytes in, JSON and bytes out."""

BOOT = (
    "import json,os,sys;f,n,c,t=map(int,sys.argv[1:5]);h=json.loads(os.pread(f,n,0));sys.path[:]=h['sys_path'];"
    "from loaders.workers.worker import main;main(h,f,n,c,t)"
)
"""The program of a worker, before which nothing of ours can be imported: it takes over the parent's `sys.path`."""

is_starting = False
"""True while this process is a worker that imports its caller's script: no pool may be made by that."""


def main(head: dict[str, Json], spec_fd: int, spec_at: int, control_fd: int, notes_fd: int) -> None:
    """Start, work until the parent closes the control socket, and end. Never returns."""
    _guard(head["parent"])
    sys.argv[:] = head["sys_argv"]
    for fd in (spec_fd, control_fd, notes_fd, *(fd for fd, _ in head["shared"])):
        os.set_inheritable(fd, False)  # a program that the caller's transform starts gets none of these
    control = socket.socket(fileno=control_fd)
    threading.Thread(target=_end_with_parent, args=(control_fd,), name="petrel-parent", daemon=True).start()
    faulthandler.enable(notes_fd)  # where a crash was, for the parent's message
    faulthandler.register(signal.SIGUSR2, notes_fd)
    try:
        handle = _start(head, spec_fd, spec_at)
    except BaseException as error:
        _send(control, pack(NO_START, describe(error)))
    else:
        _send(control, pack(READY, None))
        _serve(control, handle)
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)  # nobody's threads or exit handlers hold it up


def _start(head: dict[str, Json], spec_fd: int, spec_at: int) -> Handle:
    global is_starting
    from loaders.errors import FormatError

    is_starting = True
    with mmap.mmap(spec_fd, 0, access=mmap.ACCESS_READ) as spec_bytes, memoryview(spec_bytes) as view:
        try:
            if head["main"]:
                from multiprocessing import spawn

                spawn.prepare(head["main"])  # as in a process that multiprocessing starts
            with view[spec_at:] as pickled:
                build, spec = pickle.loads(pickled)
        except FormatError:
            raise
        except Exception as error:
            raise FormatError(
                f"a worker process cannot import what it is to run: {type(error).__name__}: {error}; keep functions "
                "in a module that can be imported without side effects, or read with pool='threads'"
            ) from error
    os.close(spec_fd)
    is_starting = False
    arrays: tuple[Octets, ...] = ()
    if head["shared"]:
        from loaders.workers.shared import attach

        arrays = tuple(attach(fd, size) for fd, size in head["shared"])
        for fd, _ in head["shared"]:
            os.close(fd)
    handle: Handle = build(spec, arrays)
    if head["address_space_bytes"] is not None:
        _limit_memory(head["address_space_bytes"])
    return handle


def _serve(control: socket.socket, handle: Handle) -> None:
    inbox = Inbox()
    while True:
        while missing := inbox.missing:
            data = control.recv(min(missing, 1 << 20))
            if not data:
                return
            inbox.add(data)
        _, job, payload = inbox.take()
        try:
            answer = pack(DONE, *handle(job, payload))
        except BaseException as error:  # SystemExit too: it is the job's, the worker lives on
            answer = pack(FAILED, describe(error))
        _send(control, answer)
        del job, payload, answer  # an idle worker keeps nothing alive


def _send(control: socket.socket, message: bytes) -> None:
    with contextlib.suppress(OSError):  # the parent is gone, and so is this process in a moment
        control.sendall(message)


def _guard(parent: int) -> None:
    """Die with the parent, and leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: even in the middle of C code
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def _end_with_parent(control_fd: int) -> None:
    """Wait for the other end of the socket to close, also while a job runs, and end at once."""
    poll = select.poll()
    poll.register(control_fd, 0)  # nothing but the hang-up
    while not poll.poll():
        pass
    os._exit(1)


def _limit_memory(more: int) -> None:
    """Let this process map `more` bytes beyond what it has now; only Linux says how much that is."""
    if sys.platform != "linux":
        return
    import resource

    with open("/proc/self/statm") as file:
        limit = int(file.read().split()[0]) * mmap.PAGESIZE + more
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
