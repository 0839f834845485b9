"""One writer at a time, and a lock that no dead process keeps."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from lakehouse.errors import ConcurrentWriteError
from lakehouse.tables.locks import writer_lock

HOLDER = """
import sys, time
from pathlib import Path
from lakehouse.tables.locks import writer_lock
with writer_lock(Path(sys.argv[1]), "silver.things", timeout_s=5):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_another_process_waits_and_the_error_names_table_holder_and_setting(tmp_path, holder):
    expected = rf"silver\.things: another writer \(process {holder.pid}\).*0\.1 s.*engine\.lock_timeout_s"
    with pytest.raises(ConcurrentWriteError, match=expected), writer_lock(tmp_path, "silver.things", timeout_s=0.1):
        pytest.fail("two writers held the lock")


def test_a_killed_holder_frees_the_lock(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with writer_lock(tmp_path, "silver.things", timeout_s=5):
        assert (tmp_path / "silver.things.lock").is_file()


def test_another_table_is_not_held_up(tmp_path, holder):
    with writer_lock(tmp_path, "silver.others", timeout_s=0.1):
        assert holder.poll() is None


def test_an_error_inside_frees_the_lock(tmp_path):
    with pytest.raises(KeyError), writer_lock(tmp_path, "a", timeout_s=1):
        raise KeyError("x")
    with writer_lock(tmp_path, "a", timeout_s=0.1):
        pass


def test_threads_take_turns(tmp_path):
    inside, most = [], []

    def work():
        for _ in range(5):
            with writer_lock(tmp_path, "a", timeout_s=30):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 20
