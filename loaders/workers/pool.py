"""A pool of worker processes that notices every death and every hang, and leaves nothing behind."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future

from loaders.errors import FormatError
from loaders.workers import worker
from loaders.workers.messages import JOB, Bytes, Json, pack
from loaders.workers.process import Build, Program
from loaders.workers.shared import Shared
from loaders.workers.supervisor import Answer, Supervisor


class ProcessPool:
    """Processes that run jobs in the order in which they were handed in; the face of `loaders.workers.threads.Pool`.

    Processes are started afresh (never forked), side by side and in the background; jobs wait for them. The script
    of the caller is imported again in a worker only if the spec needs a name out of it, and must then do its work
    under `if __name__ == "__main__":`.

    A worker that dies is replaced and its job run once more. One that is at a job for longer than the deadline is
    killed. A future is done only once no process works for it any more: shared memory that the job was to fill is
    free again.
    """

    def __init__(
        self,
        workers: int,
        build: Build,
        spec: object,
        *,
        shared: Sequence[Shared] = (),
        deadline_s: float,
        address_space_bytes: int | None = None,
        name: str = "petrel",
    ) -> None:
        """Start the processes; returns at once.

        Args:
            workers: Processes.
            build: Called once in each, as `build(spec, arrays)` with the arrays of `shared`; returns the function
                that handles jobs: `handle(job, payload) -> (answer, payload)`. A function of a module.
            spec: Anything that pickle can send.
            shared: Memory that all processes share; may be closed here once this returned.
            deadline_s: Seconds a job may take from its first start, its repetition after a death included.
            address_space_bytes: What a worker may map beyond what it has after `build`, None for no limit (Linux
                only). MemoryError is then an error of the job. Counts reserved memory: 1 GiB is little.
            name: Of the thread in this process.

        Raises:
            FormatError: If `build` or `spec` cannot be sent, or this is a worker that imports its caller's script.
        """
        if worker.is_starting:
            raise FormatError(
                "a script that reads with worker processes is imported again by each of them: put what it does under "
                "`if __name__ == \"__main__\":`, or read with pool='threads'"
            )
        if workers < 1 or deadline_s <= 0:
            raise FormatError(f"a pool has at least one worker and a deadline, found {workers} and {deadline_s}")
        self.closed = threading.Event()
        self._pid = os.getpid()
        program = Program(build, spec, shared, address_space_bytes)
        self._supervisor = Supervisor(workers, program, deadline_s, name=f"{name}-processes")
        weakref.finalize(self, self._supervisor.end).atexit = False  # when forgotten; it ends itself at exit

    def submit(self, what: str, job: Json = None, payload: Bytes = b"") -> Future[Answer]:
        """Hand in a job; `what` names it in errors.

        Args:
            what: As in "decoding batch 7".
            job: What JSON can hold; tuples arrive as lists.
            payload: Bytes that come along; bulk data belongs into shared memory.

        Returns:
            The answer, or a loader error or built-in error as it was raised in the worker (its traceback is the
            cause), or WorkerDiedError, or DeadlineError.
        """
        if os.getpid() != self._pid:
            raise RuntimeError("worker processes belong to the process that started them; make a pool of your own")
        return self._supervisor.submit(what, pack(JOB, job, payload))

    def activity(self) -> list[str]:
        """Return what each busy worker is doing, and for how long."""
        return self._supervisor.activity()

    def close(self, *, patience_s: float = 2.0) -> None:
        """Drop all jobs and end the processes; they are gone when this returns, if that is within `patience_s`."""
        self.closed.set()
        self._supervisor.end()
        self._supervisor.join(patience_s)
