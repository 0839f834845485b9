"""Whatever goes wrong, it ends in time with an error that has a name, and nothing stays behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from loaders import DeadlineError, LoaderError, ReadOptions, Shuffle, TransformError, WorkerDiedError, make_reader
from loaders.options import Shard
from tests.lanes import BUSY_S, examples
from tests.loaders.fault_jobs import Fault, Left, SlowUntilOthers, settled
from tests.loaders.samples import numbers_of

ROOT = Path(__file__).parents[2]
DEADLINE_S = 2.0
STEPS = 13  # 101 rows, 8 in a batch
WHEN = {"start": 0, "middle": 50, "end": 100}
"""Rows in stored order: those of the first batch, one in the middle, the last."""
EARLY = examples(25, long=100)
UNPLACED = (DeadlineError, WorkerDiedError)
"""Errors of all batches that were being made together: none of them is known to be the bad one."""


def options(pool, **more):
    """Return options of these tests."""
    return ReadOptions(**({"pool": pool, "workers": 2, "prefetch": 2, "deadline_s": DEADLINE_S} | more))


@pytest.fixture(scope="module")
def order(train):
    """Rows in stored order."""
    with make_reader(train, columns=["number"], batch_size=8) as reader:
        return [number for batch in reader for number in numbers_of(batch)]


def until_error(reader):
    """Return the numbers of the batches until one fails, its error, and the longest call of `next` in seconds."""
    found, longest, error = [], 0.0, None
    while error is None:
        began = time.monotonic()
        try:
            found += numbers_of(next(reader))
        except StopIteration:
            break
        except Exception as caught:
            error = caught
        longest = max(longest, time.monotonic() - began)
    return found, error, longest


ALWAYS = [
    ("processes", "SIGKILL", WorkerDiedError), ("processes", "exit 0", WorkerDiedError),
    ("processes", "SIGSTOP", DeadlineError), ("processes", "loop", DeadlineError),
    ("processes", "memory", TransformError), ("processes", "raise", TransformError),
    ("threads", "sleep", DeadlineError), ("threads", "raise", TransformError),
    ("threads", "system exit", TransformError),
    ("inline", "raise", TransformError), ("inline", "system exit", TransformError),
]  # fmt: skip


@pytest.mark.parametrize(("pool", "kind", "error"), ALWAYS)
def test_a_fault_that_comes_again_is_a_named_error_in_time_wherever_in_the_epoch(train, order, pool, kind, error):
    before = Left.now()
    for when, place in WHEN.items():
        fault, opts = Fault(kind, order[place]), options(pool)
        if error is not DeadlineError or pool == "threads":  # threads need no time to start
            opts = replace(opts, deadline_s=0.5 if error is DeadlineError else 20)
        with make_reader(train, columns=["number"], batch_size=8, transform=fault, options=opts) as reader:
            found, caught, longest = until_error(reader)
            assert isinstance(caught, error), (when, repr(caught))
            good = order[: place - place % 8]
            assert found == (good[: len(found)] if error in UNPLACED else good), "those before it came, in order"
            assert longest < opts.deadline_s + 1 + BUSY_S
            began = time.monotonic()
        assert time.monotonic() - began < 2.5 + BUSY_S, "close does not wait for what hangs"
        del reader, caught
        if kind != "sleep":  # a thread that sleeps cannot be ended
            assert settled(before) == before


@pytest.mark.parametrize("kind", ["SIGKILL", "exit 0", "SIGSEGV"])
def test_work_of_a_process_that_dies_once_is_done_again_in_the_same_order(train, order, tmp_path, kind):
    before = Left.now()
    for when, place in WHEN.items():
        fault = Fault(kind, order[place], once=str(tmp_path / when))
        opts = options("processes", deadline_s=20)
        with make_reader(train, columns=["number"], batch_size=8, transform=fault, options=opts) as reader:
            assert [number for batch in reader for number in numbers_of(batch)] == order
        assert (tmp_path / when).exists()
    del reader
    assert settled(before) == before


def test_a_worker_that_takes_too_much_memory_is_an_error_of_its_batch(train, order):
    fault = Fault("memory", order[50])
    opts = options("processes", worker_memory_bytes=1 << 30)
    with make_reader(train, columns=["number"], batch_size=8, transform=fault, options=opts) as reader:
        found, caught, _ = until_error(reader)
    assert found == order[:48]
    assert isinstance(caught, TransformError)
    assert "MemoryError" in str(caught)


def test_after_a_worker_was_stuck_the_other_batches_still_come(train, order, tmp_path):
    fault = Fault("loop", order[0], once=str(tmp_path / "once"))
    opts = options("processes", deadline_s=6.0)  # a worker that is started anew loads its modules within it
    with make_reader(train, columns=["number"], batch_size=8, transform=fault, options=opts) as reader:
        found, caught, longest = until_error(reader)
        assert (found, type(caught)) == ([], DeadlineError)
        assert longest < opts.deadline_s + 1 + BUSY_S
        reader.load_state_dict(reader.state_dict())
        assert [number for batch in reader for number in numbers_of(batch)] == order


@pytest.mark.parametrize("pool", ["threads", "processes"])
def test_a_slow_sample_changes_no_order_and_stops_nobody_else(train, order, pool, tmp_path):
    slow = SlowUntilOthers(order[0], others=8, folder=str(tmp_path))
    opts = options(pool, prefetch=12, workers=2, deadline_s=120)
    with make_reader(train, batch_size=8, transform=slow, options=opts) as reader:  # with pictures: a batch a job
        assert [number for batch in islice(reader, 9) for number in numbers_of(batch)] == order[:72]


def breaks(train, pool, count, how):
    """Read a little and stop, `count` times; return the longest close."""
    longest = 0.0
    for at in range(count):
        reader = make_reader(train, batch_size=8, shuffle=Shuffle(at), options=options(pool, deadline_s=20))
        for batch in islice(reader, at % 3):
            assert len(batch["number"]) == 8
        began = time.monotonic()
        if how == "close":
            reader.close()
        elif how == "body":
            with pytest.raises(KeyError), reader:
                raise KeyError
        longest = max(longest, time.monotonic() - began)
        batch = None
        del reader
    gc.collect()
    return longest


@pytest.mark.parametrize("how", ["close", "forget", "body"])
@pytest.mark.parametrize(("pool", "count"), [("threads", EARLY), ("inline", EARLY), ("processes", 4)])
def test_early_breaks_leave_nothing_behind(train, pool, count, how):
    count = 20 if how == "body" and pool != "processes" else count
    breaks(train, pool, 2, how)
    before = Left.now()
    assert breaks(train, pool, count, how) < 2 + BUSY_S
    assert settled(before) == before


def test_two_readers_at_once_do_not_disturb_each_other(train, order):
    with make_reader(train, batch_size=8, options=options("threads")) as one:
        with make_reader(train, batch_size=8, options=options("processes", deadline_s=20)) as two:
            pairs = [(numbers_of(a), numbers_of(b)) for a, b in zip(one, two, strict=True)]
    assert all(a == b for a, b in pairs)
    assert [number for a, _ in pairs for number in a] == order


def test_batches_that_are_kept_stay_as_they_were_after_close(train):
    for pool in ("threads", "processes", "inline"):
        with make_reader(train, batch_size=8, options=options(pool, deadline_s=20)) as reader:
            kept = list(reader)
            copies = [{name: np.array(batch[name]) for name in ("number", "image", "soft")} for batch in kept]
        del reader
        gc.collect()
        assert all((batch[name] == copy[name]).all() for batch, copy in zip(kept, copies, strict=True) for name in copy)


PROGRAM = """
import os, sys, time
from loaders import ReadOptions, Shuffle, make_reader
from tests.lanes import BUSY_S, examples
from tests.loaders.fault_jobs import Fault

def wait(batch):
    time.sleep(0.05)
    return batch

if __name__ == "__main__":
    train, pool, how = sys.argv[1:]
    reader = make_reader(train, batch_size=8, shuffle=Shuffle(1), epochs=None, transform=wait,
                         options=ReadOptions(pool=pool, workers=2, prefetch=3, deadline_s=60))
    for _ in range(3):
        batch = next(reader)
    if how == "cycle":
        cell = [reader]
        cell.append(cell)
        del reader, cell
    if how == "interrupt":
        print("ready", flush=True)
        try:
            while True:
                next(reader)
        except KeyboardInterrupt:
            number = reader.state_dict()["step"]
            again = next(reader)
            reader.close()
            print("stopped", len(again["number"]), flush=True)
    if how == "killed":
        task = f"/proc/self/task/{os.getpid()}/children"
        found = {child for task in os.listdir("/proc/self/task")
                 for child in open(f"/proc/self/task/{task}/children").read().split()}
        print(*found, flush=True)
        while True:
            next(reader)
"""


@pytest.fixture
def program(tmp_path, train):
    """Return a function that starts a program which reads with a pool, and then ends in some way."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    started = []

    def start(pool, how):
        started.append(
            subprocess.Popen(
                [sys.executable, str(script), str(train), pool, how], cwd=ROOT, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        )  # fmt: skip
        return started[-1]

    yield start
    for each in started:
        each.kill()  # one that has not ended is an error of the test already, and must not hold it
        each.communicate()


@pytest.mark.parametrize("how", ["open", "cycle"])
def test_a_program_that_ends_with_an_open_reader_ends_well_and_says_nothing(program, how):
    running = [program(pool, how) for pool in ("threads", "processes", "inline")]
    for each in running:
        said = each.communicate(timeout=60)
        assert (each.returncode, *said) == (0, "", "")


@pytest.mark.parametrize("pool", ["threads", "processes", "inline"])
def test_ctrl_c_reaches_the_consumer_and_the_reader_goes_on_or_closes(program, pool):
    running = program(pool, "interrupt")
    assert running.stdout.readline() == "ready\n"
    time.sleep(0.3)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (0, "stopped 8\n", "")


def test_worker_processes_of_a_killed_program_are_gone(program):
    running = program("processes", "killed")
    children = [int(number) for number in running.stdout.readline().split()]
    assert len(children) == 2
    running.kill()
    until = time.monotonic() + 3 + BUSY_S
    while any(Path(f"/proc/{child}").exists() and "Z" not in state_of(child) for child in children):
        assert time.monotonic() < until
        time.sleep(0.02)


def state_of(process):
    """Return the state of a process, Z once it is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def test_a_rank_that_is_not_one_is_refused_and_leaves_nothing(train):
    before = Left.now()
    with pytest.raises(LoaderError):
        make_reader(train, batch_size=8, shuffle=Shuffle(1, lanes=3), shard=Shard(0, 2))
    assert settled(before) == before


def same(batch):
    """Do nothing."""
    return batch


def test_kept_batches_of_worker_processes_hold_no_room_that_a_transform_did_not_use(train):
    opts = options("processes", deadline_s=20, prefetch=1)
    reader = make_reader(train, columns=["image"], batch_size=8, epochs=40, transform=same, options=opts)
    with reader:
        kept = list(reader)
        held = {id(owner): owner.nbytes for owner in map(owner_of, kept) if owner is not None}
        room = reader._sizes().output_bytes
    assert len(held) > 3, "copies were made"
    assert all(size < 2 * room for size in held.values())


def owner_of(batch):
    """Return the array of our own that holds the memory of a batch, None where it is shared."""
    array = batch["image"]
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array if array.base is None else None
