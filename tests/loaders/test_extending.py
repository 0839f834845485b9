"""Extending: a version takes over the parts of another one whose rows it has too, and writes only the others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from loaders import (
    CorruptionError,
    Field,
    FormatError,
    Layout,
    PartTask,
    Shuffle,
    StateMismatchError,
    find_published,
    make_reader,
    plan_dataset,
    publish,
    read_dataset,
    read_manifest,
    read_parts,
    run_task,
    verify,
)
from loaders.publishing.drafts import LocalDraft
from tests.loaders.samples import SMALL, STORED, numbers_of, read_png, small_rows

OBJECTS = {"image": "object_uri"}


def plan_of(rows: pa.Table, base: Path | str | None = None, *, dataset_id: str = "d", layout: Layout = SMALL):
    parts = () if base is None else read_parts(base, STORED, OBJECTS)
    return plan_dataset(
        rows, STORED, seed=3, dataset_id=dataset_id, objects=OBJECTS, layout=layout, published=parts
    )  # fmt: skip


def published(folder: Path, plan, reads: list[str] | None = None):
    """Publish a plan; note which objects were read."""
    def read(uri: str) -> bytes:
        (reads if reads is not None else []).append(uri)
        return read_png(uri)

    draft = LocalDraft(folder.with_name(f".staging-{folder.name}"), folder)
    # As tasks travel to other processes.
    tasks = [PartTask.from_bytes(payload) for payload in plan.task_table()["payload"].to_pylist()]
    return publish(plan, {task.name: run_task(task, staging=draft, read_object=read) for task in tasks}, staging=draft)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def hashes_of(folder: Path) -> set[str]:
    return {part.sha256 for split in read_dataset(folder).splits for part in read_manifest(folder / split).parts}


def rows_read(folder: Path, **settings) -> list[int]:
    with make_reader(folder, batch_size=8, columns=["number"], **settings) as reader:
        return [number for batch in reader for number in numbers_of(batch)]


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """200 rows; nobody writes here."""
    folder = tmp_path_factory.mktemp("versions") / "v1"
    published(folder, plan_of(small_rows(200)))
    return folder


@pytest.fixture
def v1(first, tmp_path) -> Path:
    return Path(shutil.copytree(first, tmp_path / "v1"))


def test_a_tenth_more_rows_rewrite_no_part_read_no_old_object_and_give_the_content_of_a_whole_writing(v1, tmp_path):
    before, reads = files_of(v1), []
    done = published(tmp_path / "v2", plan_of(small_rows(220), v1), reads)
    assert hashes_of(v1) < hashes_of(tmp_path / "v2"), "every old part is a part of the new version"
    assert sorted(reads) == sorted(f"png:{number}" for number in range(200, 220))
    assert files_of(v1) == before
    fresh = published(tmp_path / "fresh", plan_of(small_rows(220)))
    assert done.dataset.content_digest == fresh.dataset.content_digest
    assert verify(tmp_path / "v2").rows == 220
    for split in ("train", "test"):
        names = sorted(path.name for path in (tmp_path / "v2" / split).glob("part-*"))
        assert [part.name for part in read_manifest(tmp_path / "v2" / split).parts] == names
        table = pq.read_table(tmp_path / "v2" / split)
        assert sorted(table["number"].to_pylist()) == sorted(rows_read(tmp_path / "fresh" / split))
    kept = next((v1 / "train").glob("part-*"))
    assert os.stat(kept).st_nlink == 2, "the bytes lie on the disk once"
    shutil.rmtree(v1)
    assert verify(tmp_path / "v2").rows == 220, "each version stands on its own"


def test_the_manifest_says_what_was_written_together_and_the_format_of_before_refuses_it(v1, tmp_path):
    published(tmp_path / "v2", plan_of(small_rows(220), v1))
    old, new = (read_manifest(folder / "train") for folder in (v1, tmp_path / "v2"))
    assert (old.strata, old.format_version) == ((), 1)
    assert (new.strata, new.format_version) == ((len(old.parts), len(new.parts) - len(old.parts)), 2)
    assert new.parts[: len(old.parts)] == old.parts
    assert new.fingerprint != replace(new, strata=()).fingerprint
    path = tmp_path / "v2" / "train" / "_manifest.json"
    path.write_text(path.read_text().replace('"format_version": 2', '"format_version": 1'))
    with pytest.raises(FormatError, match="states rows, digest, fingerprint"):
        read_manifest(path.parent)


def test_a_reader_gives_every_row_once_in_one_order_on_any_ranks_and_goes_on_from_a_state(v1, tmp_path):
    published(tmp_path / "v2", plan_of(small_rows(220), v1))
    train, settings = tmp_path / "v2" / "train", {"shuffle": Shuffle(seed=5, lanes=4), "epochs": 1}
    order = rows_read(train, **settings)
    assert sorted(order) == [number for number in range(220) if number % 5]
    assert order == rows_read(train, **settings) != rows_read(train, shuffle=Shuffle(seed=6, lanes=4))
    with make_reader(train, batch_size=8, columns=["number"], **settings) as reader:
        received = [number for _ in range(3) for number in numbers_of(next(reader))]
        state = reader.state_dict()
    assert state["contract"] == "petrel-lanes-2"
    with make_reader(train, batch_size=8, columns=["number"], **settings) as reader:
        reader.load_state_dict(state)
        assert received + [number for batch in reader for number in numbers_of(batch)] == order
    with (
        make_reader(v1 / "train", batch_size=8, **settings) as reader,
        pytest.raises(StateMismatchError, match="fingerprint"),
    ):
        reader.load_state_dict(state)
    assert sorted(rows_read(train, filter=[("number", ">=", 190)], **settings)) == [
        number for number in range(190, 220) if number % 5
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda rows: rows.filter(pc.not_equal(rows["number"], 7)), "members left"),
        (lambda rows: _with(rows, "number", lambda at, n: 1007 if at == 7 else n), "values changed"),
        (lambda rows: _with(rows, "split", lambda at, split: "test" if at == 7 else split),
         "members moved to another split"),
    ],
)  # fmt: skip
def test_a_part_is_written_anew_where_one_of_its_rows_changed_and_no_other(v1, tmp_path, change, why):
    rows = change(small_rows(220))
    plan = plan_of(rows, v1)
    assert plan.rewritten == {why: 1}
    parts = sum(len(read_manifest(v1 / split).parts) for split in ("train", "test"))
    assert len(plan.taken) == parts - 1
    done = published(tmp_path / "v2", plan)
    assert done.dataset.content_digest == published(tmp_path / "fresh", plan_of(rows)).dataset.content_digest
    assert verify(tmp_path / "v2").rows == rows.num_rows


def _with(rows: pa.Table, name: str, change) -> pa.Table:
    values = [change(*each) for each in enumerate(rows[name].to_pylist())]
    return rows.set_column(rows.column_names.index(name), name, pa.array(values, rows[name].type))


def test_other_columns_or_no_common_row_give_the_plan_of_a_whole_writing(v1):
    rows = small_rows(220)
    more = (*STORED, Field("label", pa.string()))
    assert read_parts(v1, more, OBJECTS) == ()
    others = rows.filter(pc.greater(rows["number"], 199))
    assert plan_of(others, v1).plan_id == plan_of(others).plan_id
    with pytest.raises(FormatError, match="sequences takes no parts"):
        plan_of(rows, v1, layout=replace(SMALL, sequence_column="split", order_column="number"))


def test_strata_stay_few_by_writing_the_smallest_anew_together(v1, tmp_path):
    base, counts = v1, []
    for step in range(1, 8):
        folder = tmp_path / f"v{step + 1}"
        plan = plan_of(small_rows(200 + 20 * step), base)
        published(folder, plan)
        counts.append((len(read_manifest(folder / "train").strata), sum(plan.rewritten.values()) > 0))
        base = folder
    assert counts == [(2, False), (3, False), (4, False), (3, True), (4, False), (3, True), (4, False)]
    assert verify(base).rows == 340
    assert sorted(rows_read(base / "train", shuffle=Shuffle(seed=1))) == [n for n in range(340) if n % 5]


def test_the_same_version_published_afresh_or_as_an_extension_is_found_again_by_either_plan(v1, tmp_path):
    extended, fresh = plan_of(small_rows(220), v1), plan_of(small_rows(220))
    assert extended.samples_id == fresh.samples_id
    published(tmp_path / "v2", extended)
    found = find_published(tmp_path / "v2", fresh)
    assert found is not None
    assert not found.is_new
    assert find_published(tmp_path / "v2", plan_of(small_rows(219), v1)) is None
    assert find_published(tmp_path / "v2", plan_of(small_rows(220), v1, layout=Layout())) is None


def test_a_part_that_is_gone_or_cut_is_named_and_nothing_is_published(v1, tmp_path):
    plan = plan_of(small_rows(220), v1)
    part = v1 / "train" / "part-00001.parquet"
    data = part.read_bytes()
    part.write_bytes(data[:-1])
    with pytest.raises(CorruptionError, match=r"v1/train/part-00001\.parquet: expected a part of"):
        published(tmp_path / "v2", plan)
    part.unlink()
    with pytest.raises(CorruptionError, match=r"v1/train/part-00001\.parquet: a published part is gone"):
        published(tmp_path / "v2", plan)
    assert not (tmp_path / "v2").exists()
    part.write_bytes(data)
    assert published(tmp_path / "v2", plan).is_new


def test_where_files_cannot_be_linked_they_are_copied(v1, tmp_path, monkeypatch):
    def refused(*_: object) -> None:
        raise PermissionError("a file system without links")

    monkeypatch.setattr("os.link", refused)
    published(tmp_path / "v2", plan_of(small_rows(220), v1))
    assert verify(tmp_path / "v2").rows == 220
    assert os.stat(next((v1 / "train").glob("part-*"))).st_nlink == 1


def test_of_two_that_extend_at_once_one_wins_and_both_have_the_version(v1, tmp_path):
    plan, found = plan_of(small_rows(220), v1), []

    def extend(number: int) -> None:
        draft = LocalDraft(tmp_path / f".staging-{number}", tmp_path / "v2")
        receipts = {task.name: run_task(task, staging=draft, read_object=read_png) for task in plan.tasks}
        found.append(publish(plan, receipts, staging=draft).is_new)

    threads = [threading.Thread(target=extend, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False, False, False, True]
    assert verify(tmp_path / "v2").rows == 220
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v1", "v2"]


KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.loaders.test_extending import plan_of, published, small_rows
from loaders import verify

WRITES = {{"os.link", "os.rename", "os.mkdir", "os.remove", "os.rmdir"}}
v1, v2 = Path({v1!r}), Path({v1!r}).with_name("v2")
plan = plan_of(small_rows(220), v1)
left, hook = [0], []

def count(event, arguments):
    if event in WRITES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT):
        left[0] -= 1
        if left[0] == 0:
            os._exit(9)

sys.addaudithook(count)
killed = 0
for at in range(1, 500):
    child = os.fork()
    if not child:
        left[0] = at
        published(v2, plan)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        break
    killed += 1
    if v2.exists():
        verify(v2)  # all of it, or nothing
    verify(v1)
    for staging in v2.parent.glob(".staging-*") if at % 3 else ():
        os.system(f"rm -r {{staging}}")  # else the next one goes on from it
print(killed, verify(v2).rows)
"""


@pytest.mark.slow
def test_a_kill_at_every_write_shows_all_of_a_version_or_nothing_and_leaves_the_old_one_as_it_was(v1):
    before = files_of(v1)
    script = textwrap.dedent(KILLED).format(root=str(Path(__file__).parents[2]), v1=str(v1))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    killed, rows = map(int, done.stdout.split())
    assert killed > 20
    assert rows == 220
    assert files_of(v1) == before
