"""Writing: planned, spread, killed, repeated, published at once or not at all."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loaders import (
    AlreadyPublishedError,
    CorruptionError,
    Field,
    FormatError,
    Layout,
    find_published,
    make_reader,
    plan_dataset,
    plan_parts,
    publish,
    read_dataset,
    receipts_of,
    run_task,
    run_task_batches,
    verify,
    write_dataset,
)
from loaders.publishing import drafts
from loaders.stores.files import sha256_file
from tests.loaders.samples import FIELDS, SMALL, STORED, numbers_of, pixels, read_png, rows_of, small_rows


def plan_of(count: int = 60, **changes):
    settings = {"seed": 3, "dataset_id": "d1", "objects": {"image": "object_uri"}, "layout": SMALL}
    return plan_dataset(small_rows(count), STORED, **{**settings, **changes})


def test_parts_end_where_the_bytes_say():
    plans = plan_parts([5, 5, 5, 20, 1, 1], row_group_bytes=10, part_bytes=20)
    assert [(plan.name, plan.start, plan.stop, plan.row_groups) for plan in plans] == [
        ("part-00000.parquet", 0, 3, (2, 1)),
        ("part-00001.parquet", 3, 4, (1,)),
        ("part-00002.parquet", 4, 6, (2,)),
    ]
    assert plan_parts([]) == []


def test_the_plan_depends_on_the_rows_and_not_on_their_order():
    rows = small_rows(60)
    shuffled = rows.take(np.random.default_rng(1).permutation(60))
    plans = [
        plan_dataset(each, STORED, seed=3, objects={"image": "object_uri"}, layout=SMALL) for each in (rows, shuffled)
    ]
    assert plans[0].plan_id == plans[1].plan_id
    assert {task.split for task in plans[0].tasks} == {"train", "test"}
    assert plan_of().plan_id != plan_of(seed=4).plan_id
    assert plan_of(59).plan_id != plan_of(60).plan_id


def test_tasks_written_through_a_distributed_map_give_a_published_dataset(tmp_path):
    plan = plan_of()
    function = partial(run_task_batches, staging=str(tmp_path / "staging"), read_object=read_png)
    function = pickle.loads(pickle.dumps(function))
    written = pa.Table.from_batches(
        [result for batch in plan.task_table().to_batches(max_chunksize=1) for result in function(iter([batch]))]
    )
    done = publish(plan, receipts_of(written), staging=tmp_path / "staging", folder=tmp_path / "d" / "v1",
                   lineage={"recipe": "digits"})  # fmt: skip
    assert done.is_new
    assert {name: entry.rows for name, entry in done.dataset.splits.items()} == {"test": 12, "train": 48}
    assert not (tmp_path / "staging").exists()
    assert verify(tmp_path / "d" / "v1").rows == 60
    with make_reader(tmp_path / "d" / "v1" / "test", batch_size=12) as reader:
        (batch,) = reader
    assert sorted(numbers_of(batch)) == list(range(0, 60, 5))
    assert all((picture == pixels(n)).all() for picture, n in zip(batch["image"], batch["number"], strict=True))
    assert str(done) == f"v1 published: test 12, train 48; {done.files} files, {done.bytes:,} bytes"


def test_one_call_and_a_spread_write_give_equal_content(tmp_path):
    rows = [{**row, "image": read_png(row["object_uri"])} for row in small_rows(60).to_pylist()]
    at_once = write_dataset(rows, STORED, tmp_path / "a", seed=3, dataset_id="d1", layout=SMALL)
    spread = write_dataset(small_rows(60), STORED, tmp_path / "b", seed=3, dataset_id="d1", layout=SMALL,
                           objects={"image": "object_uri"}, read_object=read_png)  # fmt: skip
    assert at_once.dataset.same_content(spread.dataset)


def test_a_second_run_reads_no_bytes_and_writes_nothing(tmp_path):
    def refuse(uri):
        raise AssertionError(f"read {uri}")

    settings = {"seed": 3, "layout": SMALL, "objects": {"image": "object_uri"}}
    first = write_dataset(small_rows(60), STORED, tmp_path / "v1", read_object=read_png, **settings)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "v1").rglob("*")}
    second = write_dataset(small_rows(60), STORED, tmp_path / "v1", read_object=refuse, **settings)
    assert (first.is_new, second.is_new) == (True, False)
    assert second.dataset == first.dataset
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "v1").rglob("*")} == before


def test_other_content_under_a_published_name_is_refused(tmp_path):
    write_dataset(rows_of(20), FIELDS, tmp_path / "v1")
    before = (tmp_path / "v1" / "_dataset.json").read_bytes()
    with pytest.raises(AlreadyPublishedError, match="what is published never changes"):
        write_dataset(rows_of(21), FIELDS, tmp_path / "v1")
    assert (tmp_path / "v1" / "_dataset.json").read_bytes() == before
    assert verify(tmp_path / "v1").rows == 20


def test_the_same_content_by_another_plan_is_returned_unchanged(tmp_path):
    plan = plan_of(20)
    receipts = {task.name: run_task(task, staging=tmp_path / "s1", read_object=read_png) for task in plan.tasks}
    publish(plan, receipts, staging=tmp_path / "s1", folder=tmp_path / "v1")
    moved = small_rows(20).set_column(3, "object_uri", pa.array([f"png:0{n}" for n in range(20)]))
    other = plan_dataset(moved, STORED, seed=3, dataset_id="d1", objects={"image": "object_uri"}, layout=SMALL)
    assert find_published(tmp_path / "v1", plan) is not None
    assert find_published(tmp_path / "v1", other) is None
    receipts = {task.name: run_task(task, staging=tmp_path / "s2", read_object=read_png) for task in other.tasks}
    assert not publish(other, receipts, staging=tmp_path / "s2", folder=tmp_path / "v1").is_new
    assert not (tmp_path / "s2").exists()


def test_of_two_publishers_one_wins_and_the_other_sees_its_work(tmp_path):
    plan = plan_of(30)
    stagings = [tmp_path / f"s{at}" for at in range(4)]
    jobs = [
        ({task.name: run_task(task, staging=staging, read_object=read_png) for task in plan.tasks}, staging)
        for staging in stagings
    ]
    found = []
    threads = [
        threading.Thread(
            target=lambda job=job: found.append(publish(plan, job[0], staging=job[1], folder=tmp_path / "v1"))
        )
        for job in jobs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.is_new for each in found) == [False, False, False, True]
    assert verify(tmp_path / "v1").rows == 30
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v1"]


def test_a_part_that_is_complete_is_not_written_again(tmp_path):
    plan, calls = plan_of(), []

    def counting(uri):
        calls.append(uri)
        return read_png(uri)

    task = plan.tasks[0]
    first = run_task(task, staging=tmp_path, read_object=counting)
    reads = len(calls)
    assert run_task(task, staging=tmp_path, read_object=counting) == first
    assert len(calls) == reads
    (tmp_path / task.name).write_bytes(b"cut")
    assert run_task(task, staging=tmp_path, read_object=counting) == first
    assert len(calls) == 2 * reads
    other = plan_of(seed=4).tasks[0]
    assert other.name == task.name
    assert run_task(other, staging=tmp_path, read_object=counting) != first


def test_publish_refuses_parts_that_are_missing_or_changed(tmp_path):
    plan = plan_of()
    receipts = {task.name: run_task(task, staging=tmp_path / "s", read_object=read_png) for task in plan.tasks}
    some = dict(list(receipts.items())[1:])
    with pytest.raises(FormatError, match="no receipt"):
        publish(plan, some, staging=tmp_path / "s", folder=tmp_path / "v1")
    path = tmp_path / "s" / plan.tasks[0].name
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"x")
    with pytest.raises(CorruptionError, match="expected SHA-256"):
        publish(plan, receipts, staging=tmp_path / "s", folder=tmp_path / "v1")
    assert not (tmp_path / "v1").exists()
    path.write_bytes(data)
    assert publish(plan, receipts, staging=tmp_path / "s", folder=tmp_path / "v1").is_new


@pytest.mark.parametrize("step", ["sha256_file", "write_durably", "sync_folder", "rename_folder_no_replace"])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_disk_that_fails_at_any_step_of_publishing_leaves_nothing_and_a_repeat_succeeds(
    tmp_path, monkeypatch, step, call
):
    calls = []
    real = getattr(drafts, step)

    def failing(*args):
        calls.append(args)
        if len(calls) == call:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args)

    settings = {"seed": 3, "layout": SMALL, "objects": {"image": "object_uri"}, "read_object": read_png}
    monkeypatch.setattr(drafts, step, failing)
    try:
        write_dataset(small_rows(30), STORED, tmp_path / "v1", **settings)
    except OSError:
        assert not (tmp_path / "v1").exists()
    monkeypatch.setattr(drafts, step, real)
    assert write_dataset(small_rows(30), STORED, tmp_path / "v1", **settings).dataset.rows == 30
    assert verify(tmp_path / "v1").rows == 30
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v1"]


def test_a_reader_that_polls_sees_nothing_or_everything(tmp_path):
    folder, stop, seen = tmp_path / "v1", threading.Event(), []

    def poll():
        while not stop.is_set():
            try:
                seen.append(verify(folder, deep=False).rows)
            except FormatError:
                seen.append(0)

    poller = threading.Thread(target=poll)
    poller.start()
    try:
        write_dataset(small_rows(60), STORED, folder, layout=SMALL, objects={"image": "object_uri"},
                      read_object=read_png)  # fmt: skip
        seen_before_end = len(seen)
    finally:
        stop.set()
        poller.join()
    assert seen_before_end
    assert set(seen) <= {0, 60}


def test_rows_that_do_not_fit_are_refused_and_say_why(tmp_path):
    rows = rows_of(5)
    wrong = {
        "id of its own": [rows[0], rows[0]],
        "lack the columns": [{k: v for k, v in row.items() if k != "image"} for row in rows],
        "nulls, but the field is not nullable": [{**rows[0], "label_index": None}],
        "must have length 3": [{**rows[0], "soft": [0.5]}],
        "holds nulls": [{**rows[0], "soft": [0.5, None, 0.5]}],
        "do not fit the fields": [{**rows[0], "label_index": "three"}],
        "lower-case letters": [{**rows[0], "split": "../up"}],
        "no rows": [],
    }
    for message, each in wrong.items():
        with pytest.raises(FormatError, match=message):
            write_dataset(each, FIELDS, tmp_path / "v1")
        assert not (tmp_path / "v1").exists()


def test_an_object_that_cannot_be_read_stops_the_task_and_is_named(tmp_path):
    def missing(uri):
        raise FileNotFoundError(uri)

    with pytest.raises(FileNotFoundError) as caught:
        run_task(plan_of().tasks[0], staging=tmp_path, read_object=missing)
    assert "while reading png:" in caught.value.__notes__[0]
    assert not list(tmp_path.rglob("part-*"))


def test_unicode_ids_empty_bytes_and_nulls_survive(tmp_path):
    fields = (Field("entity_id", pa.string()), Field("note", pa.string(), nullable=True), Field("blob", pa.binary()),
              Field("tags", pa.list_(pa.string()), nullable=True))  # fmt: skip
    rows = [
        {"entity_id": "ünï-☂", "note": None, "blob": b"", "tags": ["a", "ß"]},
        {"entity_id": "b", "note": "", "blob": b"\x00\xff", "tags": None},
    ]
    write_dataset(rows, fields, tmp_path / "v1", layout=Layout(size_column=None))
    with make_reader(tmp_path / "v1" / "train", batch_size=2) as reader:
        (batch,) = reader
    found = {i: (n, b, t) for i, n, b, t in zip(*(batch[f.name] for f in fields), strict=True)}
    assert found == {"ünï-☂": (None, b"", ["a", "ß"]), "b": ("", b"\x00\xff", None)}


KILLED = """
    import sys
    sys.path.insert(0, {root!r})
    from loaders import write_dataset
    from tests.loaders import samples as t
    def loud(uri):
        print(uri, flush=True)
        return t.read_png(uri)
    write_dataset(t.small_rows(200), t.STORED, {folder!r}, seed=3, layout=t.SMALL,
                    objects={{"image": "object_uri"}}, read_object=loud)
"""


def test_a_writer_killed_at_any_moment_leaves_nothing_visible_and_the_next_one_finishes(tmp_path):
    folder = tmp_path / "v1"
    script = textwrap.dedent(KILLED).format(root=str(Path(__file__).parents[2]), folder=str(folder))
    kept = 0
    for objects_read in (3, 60):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(objects_read):
                assert writer.stdout.readline().startswith("png:")
            os.kill(writer.pid, signal.SIGKILL)
        assert not folder.exists()
        kept = max(kept, len(list(tmp_path.rglob("part-*.parquet"))))
    assert kept, "parts of a killed run are kept"
    reads = []
    done = write_dataset(small_rows(200), STORED, folder, seed=3, layout=SMALL, objects={"image": "object_uri"},
                         read_object=lambda uri: reads.append(uri) or read_png(uri))  # fmt: skip
    assert len(reads) < 200, "parts that were complete are not written again"
    assert done.dataset.rows == verify(folder).rows == 200
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v1"]
    clean = write_dataset(small_rows(200), STORED, tmp_path / "clean", seed=3, layout=SMALL,
                          objects={"image": "object_uri"}, read_object=read_png)  # fmt: skip
    assert clean.dataset.same_content(read_dataset(folder))


def test_publish_reads_no_part_that_nobody_has_written_to_since_it_was_hashed(tmp_path, monkeypatch):
    plan = plan_of()
    receipts = {task.name: run_task(task, staging=tmp_path / "s", read_object=read_png) for task in plan.tasks}
    read: list[Path] = []
    monkeypatch.setattr("loaders.publishing.drafts.sha256_file", lambda path: read.append(path) or sha256_file(path))
    touched, moved = (tmp_path / "s" / task.name for task in plan.tasks[:2])
    os.utime(touched, ns=(1, 1))
    copied = moved.read_bytes()
    moved.unlink()
    moved.write_bytes(copied)
    assert publish(plan, receipts, staging=tmp_path / "s", folder=tmp_path / "v1").is_new
    assert read == [touched, moved]
