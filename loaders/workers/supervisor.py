"""The thread that watches the worker processes of one pool: hands out jobs, takes answers, buries and replaces."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import selectors
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from loaders.errors import DeadlineError, LoaderError, WorkerDiedError
from loaders.workers.messages import FAILED, NO_START, Json, WorkerTraceback, rebuild
from loaders.workers.process import Process, Program

logger = logging.getLogger(__name__)

Answer = tuple[Json, bytes]
"""What a job gives: what JSON holds, and bytes."""

_TICK_S = 0.25  # how often deadlines, and deaths that closed no socket, are looked for
_START_S = 120.0  # for the imports of a worker and its `build`; torch from a cold network disk takes tens of seconds
_ASIDE_S = 0.3  # for a process to end by itself at the end of the pool
_GONE_S = 1.0  # for the kernel to end a killed process


@dataclass(eq=False, slots=True)
class _Job:
    what: str
    message: bytes
    future: Future[Answer] = field(default_factory=Future)
    attempts: int = 0
    until: float = 0.0  # the deadline, once started


@dataclass(eq=False, slots=True)
class _Worker:
    process: Process
    since: float  # when it was started, or began its job
    is_ready: bool = False
    job: _Job | None = None


class Supervisor:
    """The processes of a pool and the thread that watches them. It does not know the pool, which may be forgotten.

    `_lock` guards `_waiting`, `_started`, `_idle`, `_refusal` and the hand-over of a job to an idle worker, which
    happens in the thread of `submit` too. All else belongs to the thread. Futures are settled without the lock: what
    they call may submit.
    """

    def __init__(self, workers: int, program: Program, deadline_s: float, *, name: str) -> None:
        self._count, self._program, self._deadline_s = workers, program, deadline_s
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._waiting: deque[_Job] = deque()
        self._started: set[_Job] = set()
        self._idle: list[_Worker] = []
        self._refusal: Callable[[], BaseException] | None = None  # why no job is taken any more
        self._workers: list[_Worker] = []
        self._fruitless = 0  # workers that died without a job since one was last done
        self._look_at = 0.0
        self._is_ending = False
        self._wake, self._bell = socket.socketpair()
        self._wake.setblocking(False)
        self._bell.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        _live.add(self)
        self._thread.start()

    # ------------------------------------------------------------------------------ any thread

    def submit(self, what: str, message: bytes) -> Future[Answer]:
        """Queue a job; its future fails at once if no job is taken any more."""
        job = _Job(what, message)
        with self._lock:
            refusal = self._refusal
            if refusal is None:
                self._waiting.append(job)
                if not self._hand_out():
                    self._ring()
        if refusal is not None:
            job.future.set_exception(refusal())
        return job.future

    def activity(self) -> list[str]:
        """Return what each worker that is not idle is doing, and for how long."""
        now, doing = time.monotonic(), []
        for worker in list(self._workers):
            job = worker.job
            if job is not None or not worker.is_ready:
                what = job.what if job is not None else "starting a worker process"
                # It may have begun after `now` was read: never a negative time.
                doing.append(f"{what} (for {max(0.0, now - worker.since):.1f} s)")
        return doing

    def end(self) -> None:
        """Have the thread end everything; takes no lock, since a garbage collection may call it anywhere."""
        if os.getpid() == self._pid:  # a fork must not end what is not its own
            self._is_ending = True
            self._ring()

    def join(self, seconds: float) -> None:
        """Wait until all is ended, not longer than `seconds`."""
        if os.getpid() == self._pid and self._thread is not threading.current_thread():
            self._thread.join(seconds)

    def _ring(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake anyway; closed: it has ended
            self._bell.send(b"!")

    def _hand_out(self) -> bool:
        """Give waiting jobs to idle workers; with the lock held. False if the thread must send the rest of one."""
        is_all_sent = True
        while self._waiting and self._idle:
            job = self._waiting.popleft()
            if not job.attempts and not job.future.set_running_or_notify_cancel():
                continue
            worker, now = self._idle.pop(), time.monotonic()
            job.until = job.until or now + self._deadline_s
            job.attempts += 1
            self._started.add(job)
            worker.since, worker.job = now, job
            worker.process.unsent = memoryview(job.message)
            is_all_sent &= worker.process.send_some()
        return is_all_sent

    # ------------------------------------------------------------------------------ the thread of the pool

    def _run(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited: Ctrl-C never meets a half-started worker
        refusal: Callable[[], BaseException] = _closed
        try:
            while not self._is_ending:
                while len(self._workers) < self._count:
                    self._start()
                self._step()
        except _Broken as broken:
            refusal = broken.make
        except BaseException as error:
            refusal = partial(LoaderError, f"the pool of worker processes failed: {type(error).__name__}: {error}")
        finally:
            self._finish(refusal)
            _live.discard(self)

    def _start(self) -> None:
        worker = _Worker(self._program.start(), time.monotonic())
        self._workers.append(worker)
        self._selector.register(worker.process.control, selectors.EVENT_READ, worker)

    def _step(self) -> None:
        due = time.monotonic() + _TICK_S
        for key, events in self._selector.select(_TICK_S):
            worker: _Worker | None = key.data
            if worker is None:
                with contextlib.suppress(BlockingIOError):
                    self._wake.recv(4096)
                self._watch()
            elif worker in self._workers:
                if events & selectors.EVENT_WRITE:
                    with self._lock:
                        worker.process.send_some()
                    self._watch()
                if events & selectors.EVENT_READ:
                    self._receive(worker)
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _TICK_S
            self._look(now, late=now - due)

    def _watch(self) -> None:
        """Wait for room in the socket of every worker that has not got its whole job."""
        for worker in self._workers:
            write = selectors.EVENT_WRITE if worker.process.unsent else 0
            self._selector.modify(worker.process.control, selectors.EVENT_READ | write, worker)

    def _receive(self, worker: _Worker) -> None:
        is_whole = worker.process.receive()
        if is_whole is False:
            self._bury(worker)
        if not is_whole:
            return
        kind, value, payload = worker.process.inbox.take()
        if kind == NO_START:
            self._remove(worker)
            raise _Broken(partial(rebuild, value, "starting a worker process"))
        with self._lock:
            job, worker.job, worker.is_ready = worker.job, None, True
            self._idle.append(worker)
            is_all_sent = self._hand_out()
        if not is_all_sent:
            self._watch()
        if job is not None:
            self._fruitless = 0
            self._settle(job, rebuild(value, job.what) if kind == FAILED else (value, payload))

    def _look(self, now: float, *, late: float) -> None:
        """Look for what no socket tells: hangs, and deaths whose socket some other process still holds."""
        for worker in list(self._workers):
            job = worker.job
            if late > 1.0 and job is not None:  # this process was stopped (Ctrl-Z): that is not the worker's time
                job.until += late
            if worker.process.is_gone:
                self._receive(worker)  # what it said last, its end otherwise
                if worker in self._workers:
                    self._bury(worker)
            elif job is not None and now > job.until:
                notes = self._remove(worker, explain=True)
                text = f"{job.what} did not end within {self._deadline_s:g} s; its worker process was killed"
                self._settle(job, _with_notes(DeadlineError, text, notes))
            elif not worker.is_ready and now - worker.since > _START_S:
                notes = self._remove(worker, explain=True)
                text = f"a worker process did not start within {_START_S:g} s; see what it imports"
                raise _Broken(partial(_with_notes, DeadlineError, text, notes))
        with self._lock:
            late_jobs = [job for job in self._waiting if job.attempts and now > job.until]
            for job in late_jobs:
                self._waiting.remove(job)
        for job in late_jobs:
            text = f"{job.what}: its worker process died, and no other became free within {self._deadline_s:g} s"
            self._settle(job, DeadlineError(text))

    def _bury(self, worker: _Worker) -> None:
        """Repeat what a dead worker was doing, once."""
        notes = self._remove(worker)
        how, job = worker.process.how(), worker.job
        if job is None:
            self._fruitless += 1
            logger.warning("an idle worker process %s; starting another", how)
            if self._fruitless > 2 * self._count + 2:
                text = f"worker processes die while they have nothing to do, {self._fruitless} in a row; the last {how}"
                raise _Broken(partial(_with_notes, WorkerDiedError, text, notes))
        elif job.attempts < 2:
            logger.warning("a worker process %s; repeating %s", how, job.what)
            with self._lock:
                self._waiting.appendleft(job)
                self._hand_out()
            self._watch()
        else:
            text = f"{job.what}: two worker processes died of it; the last {how}"
            self._settle(job, _with_notes(WorkerDiedError, text, notes))

    def _remove(self, worker: _Worker, *, explain: bool = False) -> str:
        """End a process and forget it; return what it left to say. With `explain` it is first asked where it is."""
        with self._lock:
            if worker in self._idle:
                self._idle.remove(worker)
        process = worker.process
        self._selector.unregister(process.control)
        self._workers.remove(worker)
        if explain:
            process.ask_where()
        else:
            process.wait(0.5)  # the socket closes a moment before the process is gone, and has its exit code
        process.kill()
        process.wait(_GONE_S)
        return process.release()

    def _settle(self, job: _Job, outcome: Answer | BaseException) -> None:
        with self._lock:
            self._started.discard(job)
        if isinstance(outcome, BaseException):
            job.future.set_exception(outcome)
        else:
            job.future.set_result(outcome)

    def _finish(self, refusal: Callable[[], BaseException]) -> None:
        with self._lock:
            self._refusal = refusal
            unstarted = [job for job in self._waiting if not job.attempts]
            self._waiting.clear()
            self._idle.clear()
        for job in unstarted:
            if refusal is _closed:
                job.future.cancel()
            elif job.future.set_running_or_notify_cancel():
                job.future.set_exception(refusal())
        for worker in self._workers:
            worker.process.hang_up()  # it ends by itself, in the middle of a job too
        _wait_all(self._workers, _ASIDE_S)
        for worker in self._workers:
            worker.process.kill()
        _wait_all(self._workers, _GONE_S)
        for worker in self._workers:
            worker.process.release()
        self._workers.clear()
        for job in list(self._started):
            self._settle(job, refusal())
        self._selector.close()
        self._wake.close()
        self._bell.close()
        self._program.close()


class _Broken(Exception):
    """No job can be done any more; `make` gives the error for each."""

    def __init__(self, make: Callable[[], BaseException]) -> None:
        super().__init__()
        self.make = make


def _with_notes(kind: type[LoaderError], text: str, notes: str) -> LoaderError:
    error = kind(text)
    if notes:
        error.__cause__ = WorkerTraceback(notes)
    return error


def _closed() -> LoaderError:
    return LoaderError("the pool of worker processes is closed")


def _wait_all(workers: list[_Worker], seconds: float) -> None:
    until = time.monotonic() + seconds
    for worker in workers:
        worker.process.wait(until - time.monotonic())


_live: set[Supervisor] = set()


@atexit.register
def _end_all() -> None:
    """At exit, end what was not closed."""
    supervisors = list(_live)
    for supervisor in supervisors:
        supervisor.end()
    for supervisor in supervisors:
        supervisor.join(2.0)
