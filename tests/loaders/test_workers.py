"""Worker processes: every death and hang is an answer in time, and nothing stays behind."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import CancelledError, wait
from pathlib import Path

import psutil
import pytest

from loaders.errors import CorruptionError, DeadlineError, FormatError, LoaderError, WorkerDiedError
from loaders.workers.messages import WorkerTraceback
from loaders.workers.pool import ProcessPool
from loaders.workers.shared import Shared
from tests.lanes import BUSY_S, examples
from tests.leftovers import descriptors, threads
from tests.loaders.worker_jobs import build, build_slowly_later, build_that_fails

ROOT = Path(__file__).parents[2]
JOBS = 30
PLACES = (0, JOBS // 2, JOBS - 1)  # of a fault

pytestmark = [
    pytest.mark.timeout(30),
    pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors and signals as Linux does"),
]


@pytest.fixture(autouse=True)
def others():
    """The children that this process has already, the JVM of the run among them, are no workers of the test."""
    _others.clear()
    _others.update(psutil.Process().children())


_others = set()  # a process is equal to itself alone: by number and time of its start


def workers():
    """Return the worker processes: children that came since the test began, as themselves or as zombies.

    Not those of other children: Spark's start script leaves its JVM a zombie of `bash` that nobody waits for.
    """
    found = []
    for child in set(psutil.Process().children()) - _others:
        with contextlib.suppress(psutil.NoSuchProcess):
            try:
                is_ours = "loaders.workers.worker" in " ".join(child.cmdline())
            except psutil.ZombieProcess:
                is_ours = True
            if is_ours:
                found.append(child)
    return sorted(found, key=lambda child: child.pid)


def held():
    """Return what a pool could leave behind: worker processes, threads, descriptors."""
    return {*workers(), *threads(), *descriptors()}


@pytest.fixture
def pools():
    """A function that makes pools; afterwards they are closed, and must have left nothing."""
    gc.collect()
    before, made = held(), []

    def make(workers=2, spec=None, *, build=build, deadline_s=20.0, **more):
        made.append(ProcessPool(workers, build, spec, deadline_s=deadline_s, **more))
        return made[-1]

    yield make
    started = time.monotonic()
    for pool in made:
        pool.close()
        assert pool.activity() == []
    assert time.monotonic() - started < 2.0 + BUSY_S
    assert held() - before == set()


@pytest.fixture
def memory():
    """Shared memory that is closed before the leftovers are counted."""
    shared = Shared(1000)
    yield shared
    shared.close()


def echoes(pool, numbers):
    return [pool.submit(f"echo {n}", ["echo", n]) for n in numbers]


def answers(futures):
    return [future.result(20)[0] for future in futures]


def pids(pool):
    """Return the processes of a pool, once all are at work."""
    found = set()
    while len(found) < 2:
        found |= set(answers([pool.submit("pid", ["pid", None]) for _ in range(8)]))
    return sorted(found)


def script(tmp_path, text, *arguments, python=(), **more):
    """Start a program of its own."""
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(text))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *python, str(path), *arguments], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more,
    )  # fmt: skip


def gone(processes, seconds=3.0):
    """Return whether all processes end in time; one that waits for its new parent to notice has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(is_running(process) for process in processes):
            return True
        time.sleep(0.02)
    return False


def is_running(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# ---------------------------------------------------------------------------------------------- work


def test_jobs_and_answers_are_json_and_bytes(pools):
    pool = pools()
    value = {"rows": [1, 2.5, None, True], "name": "zürich \ud800"}
    assert pool.submit("echo", ["echo", value], memoryview(b"abc")).result(20) == (value, b"abc")
    assert pool.submit("echo", ["echo", None]).result(20) == (None, b"")
    large = random.Random(1).randbytes(5_000_000)  # more than a socket takes at once
    assert [future.result(20)[1] == large for future in [pool.submit("l", ["echo", 0], large) for _ in range(4)]] == [
        True
    ] * 4
    with pytest.raises(TypeError, match="set is not JSON"):
        pool.submit("odd", {1, 2})
    with pytest.raises(TypeError, match="set is not JSON"):
        pool.submit("odd", ["odd", None]).result(20)


def test_jobs_start_in_the_order_of_their_submission(pools):
    pool = pools(1)
    futures = [pool.submit(f"count {n}", ["count", n]) for n in range(50)]  # the first ones before it is up
    while not (doing := pool.activity()):
        assert not futures[0].done()
    assert doing[0].startswith("starting a worker process (for 0.")
    assert answers(futures) == list(range(1, 51))


def test_all_workers_fill_the_same_memory(pools, memory):
    pool = pools(shared=[memory])
    view = memory.array
    memory.close()  # the pool has its own hold
    assert answers([pool.submit(f"add {n}", ["add", n]) for n in range(200)]) == list(range(200))
    assert view[:201].tolist() == [1] * 200 + [0]


def test_a_cancelled_job_is_not_run(pools, memory):
    pool = pools(1, shared=[memory])
    futures = [pool.submit(f"add {n}", ["add", n]) for n in range(50)]
    assert all(future.cancel() for future in futures[10:])
    assert answers(futures[:10]) == list(range(10))
    assert memory.array.sum() == 10


def test_activity_names_what_is_being_done(pools):
    pool = pools()
    future = pool.submit("counting sheep", ["sleep", 0.8])
    while not any(what.startswith("counting sheep (for 0.") for what in pool.activity()):
        assert not future.done()
    assert answers([future]) == [0.8]
    wait(echoes(pool, [1]))
    assert pool.activity() == []


def test_workers_have_one_thread_for_each_library_no_keyboard_and_no_script_they_do_not_need(pools, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    pool = pools(1, "count pickles")
    assert pool.submit("state", ["state", None]).result(20)[0] == ["1", int(signal.SIG_IGN), 0, 0, False]
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_nothing_is_unpickled_from_what_workers_say(pools, monkeypatch):
    pool = pools(1, "count pickles")
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.delattr(f"pickle.{name}")
    assert answers(echoes(pool, range(5))) == list(range(5))
    with pytest.raises(CorruptionError):
        pool.submit("raise", ["raise", "corrupt"]).result(20)
    assert pool.submit("state", ["state", None]).result(20)[0][3] == 0, "names looked up by a pickle in the worker"


# ---------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("corrupt", CorruptionError, "part-1: bad"),
        ("loader", LoaderError, "plain"),
        ("value", ValueError, "no such thing"),
        ("key", KeyError, "'name'"),
        ("missing", FileNotFoundError, "[Errno 2] No such file: 'there'"),
        ("own", KeyError, "'step 4: OwnError: ours'"),
        ("unicode", UnicodeError, "step 4: UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0: x"),
        ("stop", LoaderError, "step 4: StopIteration: (no message)"),
        ("exit", LoaderError, "step 4: SystemExit: 0"),
        ("silent", LoaderError, "step 4: SilentError: (an error that cannot say its message)"),
    ],
)
def test_an_error_comes_back_as_the_nearest_class_that_is_known_here(pools, name, kind, text):
    pool = pools(1)
    error = pool.submit("step 4", ["raise", name]).exception(20)
    assert (type(error), str(error)) == (kind, text)
    assert isinstance(error.__cause__, WorkerTraceback)
    assert "worker_jobs.py" in str(error.__cause__)
    if name == "corrupt":
        assert (error.file, error.row_group, error.row, error.column) == ("part-1", 3, None, "image")
    assert answers(echoes(pool, [1])) == [1], "the worker lives on"


def test_a_bomb_meets_the_limit_of_its_worker_and_is_an_error(pools):
    pool = pools(1, address_space_bytes=1 << 30)
    before = psutil.Process().memory_info().rss
    error = pool.submit("decoding batch 3", ["eat", 8 << 30]).exception(20)
    assert (type(error), str(error)) == (MemoryError, "decoding batch 3: MemoryError: (no message)")
    assert psutil.Process().memory_info().rss - before < 50 << 20
    assert pool.submit("less", ["eat", 100 << 20]).result(20)[0] == 100 << 20


@pytest.mark.parametrize("spec", [lambda: 1, threading.Lock(), type("Local", (), {})()], ids=["lambda", "lock", "own"])
def test_what_cannot_be_sent_is_refused_at_once(pools, spec):
    with pytest.raises(FormatError, match=r"cannot be sent.*pickle.*pool='threads'"):
        pools(1, {"transform": spec})


def test_what_is_no_pool_is_refused(pools):
    for workers, deadline_s in [(0, 1.0), (1, 0.0)]:
        with pytest.raises(FormatError, match="at least one worker and a deadline"):
            pools(workers, deadline_s=deadline_s)


@pytest.mark.parametrize(("spec", "kind"), [("corrupt", CorruptionError), ("value", ValueError)])
def test_an_error_of_build_is_the_error_of_all_jobs(pools, spec, kind):
    pool = pools(2, spec, build=build_that_fails)
    futures = echoes(pool, range(5))
    assert {type(future.exception(20)) for future in futures} == {kind}
    assert type(echoes(pool, [1])[0].exception(20)) is kind


# ---------------------------------------------------------------------------------------------- deaths and hangs


@pytest.mark.parametrize("fault", ["SIGKILL", "SIGSEGV", "SIGTERM", "exit 0"])
def test_a_job_whose_worker_dies_is_run_once_more(pools, memory, caplog, fault):
    pool = pools(shared=[memory])
    wait(echoes(pool, [0]))
    for place in PLACES:
        memory.array[:] = 0
        started = time.monotonic()
        futures = [
            pool.submit(f"job {n}", ["fault once", [fault, n]] if n == place else ["add", n]) for n in range(JOBS)
        ]
        assert answers(futures) == list(range(JOBS))
        assert time.monotonic() - started < 2.0 + BUSY_S
        assert memory.array[:JOBS].tolist() == [2 if n == place else 1 for n in range(JOBS)]
        assert f"repeating job {place}\n" in caplog.text


@pytest.mark.parametrize(("fault", "says"), [("SIGKILL", "ended by SIGKILL"), ("exit 0", "exit code 0")])
def test_a_job_that_kills_two_workers_is_an_error_and_the_others_are_done(pools, memory, fault, says):
    pool = pools(shared=[memory])
    wait(echoes(pool, [0]))
    for place in PLACES:
        started = time.monotonic()
        futures = [
            pool.submit(f"job {n}", ["fault always", [fault, n]] if n == place else ["echo", n]) for n in range(JOBS)
        ]
        error = futures[place].exception(20)
        assert time.monotonic() - started < 2.0 + BUSY_S
        assert memory.array[place] == 2
        assert type(error) is WorkerDiedError
        assert f"job {place}: two worker processes died" in str(error)
        assert says in str(error)
        assert answers(futures[:place] + futures[place + 1 :]) == [n for n in range(JOBS) if n != place]


def test_a_crash_tells_where_it_was(pools):
    error = pools(1).submit("job", ["SIGSEGV", 1]).exception(20)
    assert "in die" in str(error.__cause__)


@pytest.mark.parametrize("fault", ["SIGSTOP", "hang", "hang in C"])
def test_a_stuck_job_is_an_error_at_its_deadline_and_the_others_are_done(pools, fault):
    pool = pools(deadline_s=0.5)
    for place in PLACES:
        workers = pids(pool)
        started = time.monotonic()
        futures = [pool.submit(f"job {n}", [fault if n == place else "echo", n]) for n in range(JOBS)]
        error = futures[place].exception(20)
        assert len([pid for pid in workers if psutil.pid_exists(pid)]) == 1, "it cannot write any more"
        assert time.monotonic() - started < 0.5 + 1.0 + BUSY_S
        assert type(error) is DeadlineError
        assert str(error) == f"job {place} did not end within 0.5 s; its worker process was killed"
        assert fault == "SIGSTOP" or "worker_jobs.py" in str(error.__cause__)
        assert answers(futures[:place] + futures[place + 1 :]) == [n for n in range(JOBS) if n != place]


def test_all_workers_stuck_at_once_are_all_replaced(pools):
    pool = pools(2, deadline_s=0.5)
    errors = [future.exception(20) for future in [pool.submit(f"job {n}", ["SIGSTOP", 0]) for n in range(2)]]
    assert [type(error) for error in errors] == [DeadlineError] * 2
    assert answers(echoes(pool, [7])) == [7]


def test_a_job_that_finds_no_second_worker_in_time_is_an_error(pools, memory):
    pool = pools(1, build=build_slowly_later, deadline_s=0.5, shared=[memory])
    error = pool.submit("job 3", ["SIGKILL", 0]).exception(20)
    assert type(error) is DeadlineError
    assert str(error) == "job 3: its worker process died, and no other became free within 0.5 s"
    assert answers(echoes(pool, [7])) == [7]


@pytest.mark.parametrize("fault", ["SIGKILL", "exit 0"])
def test_workers_that_always_die_at_their_start_are_not_started_for_ever(pools, fault):
    pool = pools(2, fault, build=build_that_fails)
    futures = echoes(pool, range(5))
    assert {type(future.exception(20)) for future in futures} == {WorkerDiedError}
    assert "7 in a row" in str(futures[0].exception())


def test_a_worker_that_never_starts_is_an_error(pools, monkeypatch):
    monkeypatch.setattr("loaders.workers.supervisor._START_S", 0.7)
    future = echoes(pools(1, "hang", build=build_that_fails), [1])[0]
    assert type(future.exception(20)) is DeadlineError
    assert "did not start within 0.7 s" in str(future.exception())


def test_kills_at_random_moments_lose_and_repeat_nothing_that_matters(pools):
    dice = random.Random(7)
    pool = pools(deadline_s=10)
    for at in range(examples(8, long=20)):
        victims = workers()
        futures = echoes(pool, range(at, at + 20))
        time.sleep(dice.random() * 0.004)
        dying = dice.sample(victims, dice.randint(0, len(victims)))
        for victim in dying:
            with contextlib.suppress(psutil.NoSuchProcess):  # one of the round before, noticed only now
                victim.send_signal(dice.choice([signal.SIGKILL, signal.SIGTERM]))
        errors = [future.exception(20) for future in futures]
        assert {type(error) for error in errors if error} <= ({WorkerDiedError} if len(dying) > 1 else set())
        assert [future.result()[0] for future in futures if not future.exception()] == [
            n for n, error in enumerate(errors, at) if not error
        ]


def test_an_idle_worker_that_is_killed_is_replaced(pools):
    pool = pools()
    before = pids(pool)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    assert set(pids(pool)).isdisjoint(before)


# ---------------------------------------------------------------------------------------------- ends


def test_close_in_the_middle_of_work_ends_all_of_it(pools):
    pool = pools()
    pids(pool)
    running = [pool.submit("nap", ["sleep", 50]) for _ in range(2)]
    waiting = echoes(pool, range(10))
    time.sleep(0.05)
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 1.0 + BUSY_S
    assert all("closed" in str(future.exception(0)) for future in running)
    assert all(future.cancelled() for future in waiting)
    assert workers() == []
    assert pool.closed.is_set()
    late = pool.submit("late", ["echo", 1])
    assert type(late.exception(1)) is LoaderError
    pool.close()


@pytest.mark.parametrize("fault", ["SIGSTOP", "hang in C"])
def test_close_does_not_wait_for_a_stuck_worker(pools, fault):
    pool = pools(1)
    wait(echoes(pool, [0]))
    pool.submit("stuck", [fault, 0])
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 1.5 + BUSY_S
    assert workers() == []


def test_pools_may_be_closed_at_any_moment_of_their_life(pools):
    dice = random.Random(3)
    for _ in range(examples(8, long=20)):
        pool = pools(deadline_s=5)
        futures = echoes(pool, range(20))
        time.sleep(dice.random() * 0.1)
        closers = [threading.Thread(target=pool.close) for _ in range(dice.randint(1, 2))]
        for closer in closers:
            closer.start()
        futures += echoes(pool, range(5))
        for future in futures:
            try:
                future.result(5)
            except (CancelledError, LoaderError):
                pass
        for closer in closers:
            closer.join()
        assert workers() == []


def test_close_from_a_callback_of_a_future(pools):
    pool = pools(1)
    done = threading.Event()
    future = pool.submit("echo", ["echo", 1])
    future.add_done_callback(lambda _: (pool.close(), done.set()))
    assert done.wait(10)
    pool.close()


def test_a_forgotten_pool_ends():
    before = held()
    pool = ProcessPool(2, build, None, deadline_s=20)
    wait(echoes(pool, [1]))
    running = pool.submit("nap", ["sleep", 50])
    del pool
    gc.collect()
    assert running.exception(2) is not None
    until = time.monotonic() + 2
    while held() - before and time.monotonic() < until:
        time.sleep(0.01)
    assert held() - before == set()


BUSY = """
    import sys, time
    from loaders.workers.pool import ProcessPool
    from tests.loaders.worker_jobs import build

    if __name__ == "__main__":
        pool = ProcessPool(2, build, None, deadline_s=60)
        if sys.argv[1] != "starting":
            pool.submit("echo", ["echo", 1]).result()
            jobs = [pool.submit("job", [sys.argv[1], 40]) for _ in range(2)]
            time.sleep(0.1)
        print("ready", flush=True)
        {end}
"""


@pytest.mark.parametrize("doing", ["starting", "echo", "sleep", "hang in C", "SIGSTOP"])
def test_workers_of_a_killed_parent_are_gone(tmp_path, doing):
    parents = [script(tmp_path, BUSY.format(end="time.sleep(60)"), doing) for _ in range(2)]
    children = []
    for at, parent in enumerate(parents):
        assert parent.stdout.readline() == "ready\n"
        time.sleep(0.03 * at)
        children += psutil.Process(parent.pid).children(recursive=True)
    for parent in parents:
        parent.kill()
        parent.communicate(timeout=10)  # to the end of the pipes: nobody holds them any more
    assert len(children) == 4 or doing == "starting"
    assert gone(children)


def test_a_worker_whose_parent_died_before_it_could_ask_to_die_with_it_ends():
    code = "from loaders.workers.worker import _guard; _guard(1 << 30); print('alive')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


@pytest.mark.parametrize(
    ("doing", "end", "code"),
    [
        ("starting", "sys.exit(3)", 3),
        ("echo", "sys.exit(3)", 3),
        ("sleep", "raise OSError", 1),
        ("hang in C", "sys.exit(3)", 3),
    ],
)
def test_a_program_may_end_without_close(tmp_path, doing, end, code):
    program = script(tmp_path, BUSY.format(end=end), doing, python=["-W", "error", "-X", "dev"])
    assert program.stdout.readline() == "ready\n"
    children = psutil.Process(program.pid).children(recursive=True)
    started = time.monotonic()
    _, errors = program.communicate(timeout=10)
    assert time.monotonic() - started < 2.0 + BUSY_S
    assert program.returncode == code
    assert errors.count("Traceback") == (1 if end == "raise OSError" else 0), errors
    assert "Warning" not in errors
    assert gone(children)


@pytest.mark.parametrize(("doing", "after_s"), [("starting", 0.0), ("starting", 0.02), ("sleep", 0.0)])
def test_ctrl_c_is_the_parents_alone(tmp_path, doing, after_s):
    program = script(tmp_path, BUSY.format(end="time.sleep(60)"), doing, process_group=0)
    assert program.stdout.readline() == "ready\n"
    while len(children := psutil.Process(program.pid).children(recursive=True)) < 2:
        assert program.poll() is None
    time.sleep(after_s)
    os.killpg(program.pid, signal.SIGINT)
    _, errors = program.communicate(timeout=10)
    assert errors.count("KeyboardInterrupt") == errors.count("Traceback") == 1, errors
    assert gone(children)


def test_time_in_which_the_program_was_stopped_is_nobodys_deadline(tmp_path):
    text = BUSY.replace("deadline_s=60", "deadline_s=4").replace("sys.argv[1], 40", "sys.argv[1], 5")
    program = script(tmp_path, text.format(end="print([job.exception() for job in jobs])"), "sleep")
    assert program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGSTOP)
    time.sleep(4.2)
    program.send_signal(signal.SIGCONT)
    assert program.communicate(timeout=30) == ("[None, None]\n", "")


# ---------------------------------------------------------------------------------------------- scripts and forks


def run(tmp_path, text, **more):
    return script(tmp_path, text, **more).communicate(timeout=20)


SCRIPT = """
    from loaders.errors import FormatError
    from loaders.workers.pool import ProcessPool

    def build(spec, arrays):
        return lambda job, payload: ([job, __name__], payload)

    def main():
        pool = ProcessPool(1, {build}, None, deadline_s=20)
        try:
            print(pool.submit("job", 5).result())
        except FormatError as error:
            print(error)
"""


def test_functions_of_the_script_need_its_guard(tmp_path):
    guarded = SCRIPT.format(build="build") + '\n    if __name__ == "__main__":\n        main()\n'
    assert run(tmp_path, guarded) == ("([5, '__mp_main__'], b'')\n", "")
    out, errors = run(tmp_path, SCRIPT.format(build="build") + "\n    main()\n")
    assert out.count("\n") == 1, out
    assert 'put what it does under `if __name__ == "__main__":`' in out
    assert errors == ""


def test_functions_of_modules_need_no_guard(tmp_path):
    text = SCRIPT.format(build="work.build").replace("from loaders.errors", "import work\n    from loaders.errors")
    (tmp_path / "work.py").write_text("def build(spec, arrays):\n    return lambda job, payload: (job, payload)\n")
    assert run(tmp_path, text + "\n    main()\n") == ("(5, b'')\n", ""), "found through the sys.path of the parent"


def test_functions_of_a_session_without_a_file_are_refused():
    text = textwrap.dedent(SCRIPT.format(build="build")) + "\nmain()\n"
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert "FormatError: worker processes cannot import a function of an interactive session" in done.stderr


def test_a_fork_neither_uses_nor_ends_the_pool_of_its_parent(tmp_path):
    out, errors = run(
        tmp_path,
        """
        import os, sys, time
        from loaders.workers.pool import ProcessPool
        from tests.loaders.worker_jobs import build

        if __name__ == "__main__":
            pool = ProcessPool(2, build, None, deadline_s=20)
            pool.submit("echo", ["echo", 1]).result()
            child = os.fork()
            if child == 0:
                try:
                    pool.submit("echo", ["echo", 1])
                except RuntimeError as error:
                    print(error, flush=True)
                pool.close()
                time.sleep(6)
                del pool
                sys.exit(0)
            started = time.monotonic()
            time.sleep(0.3)
            print(pool.submit("echo", ["echo", 2]).result(), flush=True)
            pool.close()
            assert time.monotonic() - started < 5, "the descriptors that the fork holds do not delay the end"
            os.waitpid(child, 0)
        """,
        python=["-W", "ignore::DeprecationWarning"],
    )
    assert out == "worker processes belong to the process that started them; make a pool of your own\n(2, b'')\n"
    assert errors == ""
