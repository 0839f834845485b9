"""One worker process as its parent sees it: how it is started, talked to, ended and asked for its last words."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from loaders.errors import FormatError
from loaders.workers import worker as child
from loaders.workers.messages import Inbox
from loaders.workers.shared import Shared, anonymous_file

if TYPE_CHECKING:
    from loaders.axes import Octets

Build: TypeAlias = "Callable[[Any, tuple[Octets, ...]], child.Handle]"

_NOTES_BYTES = 1 << 16

_ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM", "BLIS")
}  # processes are the parallelism; pyarrow's pool follows OMP too


class Process:
    """A started worker process and the socket to it.

    Attributes:
        control: The socket; never blocks.
        inbox: What came in of the message under way.
        unsent: What is left to send of a job.
    """

    def __init__(self, popen: subprocess.Popen[bytes], control: socket.socket, notes_fd: int) -> None:
        self.control, self.inbox, self.unsent = control, Inbox(), memoryview(b"")
        self._popen, self._notes_fd = popen, notes_fd

    @property
    def is_gone(self) -> bool:
        """Whether it has ended."""
        return self._popen.poll() is not None

    def send_some(self) -> bool:
        """Send what the socket takes of `unsent`; False if some is left."""
        try:
            while self.unsent:
                self.unsent = self.unsent[self.control.send(self.unsent) :]
        except BlockingIOError:
            return False
        except OSError:  # it died: whoever receives from it will notice
            pass
        self.unsent = memoryview(b"")
        return True

    def receive(self) -> bool | None:
        """Receive what is there: True if a message is whole, False if the other end is closed, None: not yet."""
        try:
            while missing := self.inbox.missing:
                data = self.control.recv(min(missing, 1 << 20))
                if not data:
                    return False
                self.inbox.add(data)
        except BlockingIOError:
            return None
        except OSError:
            return False
        return True

    def hang_up(self) -> None:
        """End the talk: the process ends by itself, even if a fork of ours holds the socket too."""
        with contextlib.suppress(OSError):
            self.control.shutdown(socket.SHUT_RDWR)

    def ask_where(self) -> None:
        """Have its crash handler write down where it is; a stopped process does not answer."""
        self._popen.send_signal(signal.SIGUSR2)
        self.wait(0.1)

    def wait(self, seconds: float) -> None:
        """Wait for its end, not longer than `seconds`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(max(0.0, seconds))

    def kill(self) -> None:
        """Kill it, if it still runs."""
        self._popen.kill()

    def release(self) -> str:
        """Close the descriptors; return what its crash handler wrote."""
        self.control.close()
        notes = os.pread(self._notes_fd, _NOTES_BYTES, 0).rstrip(b"\0").decode(errors="replace")
        os.close(self._notes_fd)
        return notes

    def how(self) -> str:
        """Return how it ended, in words."""
        code = self._popen.returncode
        if code is None or code >= 0:
            return f"ended with exit code {code}, which no job should do"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = {
            "SIGKILL": " (as the kernel does when memory runs out: try fewer workers or smaller batches)",
            "SIGSEGV": " (a crash in a library; its stack is the cause of this error)",
        }.get(name, "")
        return f"was ended by {name}{hint}"


class Program:
    """What every worker is to run: pickled once, in memory that they all read."""

    def __init__(
        self, build: Build, spec: object, shared: Sequence[Shared], address_space_bytes: int | None
    ) -> None:
        try:
            pickled = pickle.dumps((build, spec))
        except Exception as error:
            raise FormatError(
                f"worker processes cannot be sent what they are to run: {type(error).__name__}: {error}; define "
                "functions at the top level of a module (no lambda, no function in a function) and keep open files "
                "and locks out, or read with pool='threads'"
            ) from error
        script = _script(pickled)
        self._shared = [(os.dup(memory.fd), memory.size) for memory in shared]  # ours to give to later processes too
        head = {
            "sys_path": [path or os.getcwd() for path in sys.path if isinstance(path, str)],
            "sys_argv": sys.argv,
            "main": script,
            "parent": os.getpid(),
            "shared": self._shared,
            "address_space_bytes": address_space_bytes,
        }
        head_bytes = json.dumps(head).encode()
        self._head_size = len(head_bytes)
        self._fd = anonymous_file(len(head_bytes) + len(pickled))
        with mmap.mmap(self._fd, 0) as memory:
            memory[: len(head_bytes)] = head_bytes
            memory[len(head_bytes) :] = pickled

    def start(self) -> Process:
        """Start one process."""
        from multiprocessing.spawn import get_command_line

        python = get_command_line(pipe_handle=0)[:-3]  # the interpreter and its flags, without multiprocessing's own
        control, theirs = socket.socketpair()
        notes = anonymous_file(_NOTES_BYTES)
        try:
            numbers = (self._fd, self._head_size, theirs.fileno(), notes)
            popen = subprocess.Popen(
                [*python, "-P", "-c", child.BOOT, *map(str, numbers)],
                stdin=subprocess.DEVNULL,
                pass_fds=(self._fd, theirs.fileno(), notes, *(fd for fd, _ in self._shared)),
                env={**os.environ, **_ONE_THREAD},
            )
        except BaseException:
            control.close()
            os.close(notes)
            raise
        finally:
            theirs.close()
        control.setblocking(False)
        return Process(popen, control, notes)

    def close(self) -> None:
        """Close the descriptors; nothing can be started any more."""
        for fd in (self._fd, *(fd for fd, _ in self._shared)):
            os.close(fd)


def _script(pickled: bytes) -> dict[str, str] | None:
    """Return what `multiprocessing` needs to import the caller's script, None if the pickle names nothing of it."""
    if b"__main__" not in pickled and b"__mp_main__" not in pickled:
        return None
    main = sys.modules["__main__"]
    if main.__spec__ is not None:
        return {"init_main_from_name": main.__spec__.name}
    path = getattr(main, "__file__", None)
    if path is None:
        raise FormatError(
            "worker processes cannot import a function of an interactive session or notebook; write it into a module, "
            "or read with pool='threads'"
        )
    return {"init_main_from_path": os.path.abspath(path)}
