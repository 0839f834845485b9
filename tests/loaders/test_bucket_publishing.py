"""Publishing into a bucket: nothing counts before its last file, whoever is killed and whatever the network does."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from loaders import (
    AlreadyPublishedError,
    CorruptionError,
    FormatError,
    damages,
    find_published,
    make_reader,
    plan_dataset,
    publish,
    read_dataset,
    read_parts,
    run_task,
    verify,
    write_dataset,
)
from loaders.format.manifest import UNFINISHED
from loaders.publishing import drafts
from tests.buckets.faults import Chance, Fault
from tests.buckets.lakes import use
from tests.loaders.samples import SMALL, STORED, numbers_of, read_png, small_rows

SETTINGS = {"seed": 3, "layout": SMALL, "objects": {"image": "object_uri"}, "read_object": read_png}


@pytest.fixture
def url(bucket, tmp_path, monkeypatch):
    use(bucket, tmp_path, monkeypatch)
    yield f"{bucket.url}/d/v1"
    drafts._opened.cache_clear()


def rows_in(url: str, split: str = "train") -> list[int]:
    with make_reader(f"{url}/{split}", batch_size=1) as reader:
        return sorted(number for batch in reader for number in numbers_of(batch))


def files_in(bucket, folder: str) -> dict[str, bytes]:
    return {key: bucket.ask("GET", key).body for key in bucket.list_keys(folder)}


def test_a_bucket_has_the_files_of_a_folder_and_nothing_else(bucket, url, tmp_path):
    done = write_dataset(small_rows(40), STORED, url, **SETTINGS)
    local = write_dataset(small_rows(40), STORED, tmp_path / "v1", **SETTINGS)
    assert (done.dataset, done.files, done.bytes) == (local.dataset, local.files, local.bytes)
    expected = {f"d/{path.relative_to(tmp_path)}": path.read_bytes()
                for path in (tmp_path / "v1").rglob("*") if path.is_file()}  # fmt: skip
    assert files_in(bucket, "") == expected
    assert verify(url).rows == 40
    assert not write_dataset(small_rows(40), STORED, url, **SETTINGS).is_new
    with pytest.raises(AlreadyPublishedError, match="what is published never changes"):
        write_dataset(small_rows(41), STORED, url, **SETTINGS)
    assert files_in(bucket, "") == expected


def test_an_extension_has_the_bucket_copy_old_parts_and_reads_the_objects_of_new_rows_alone(bucket, url):
    write_dataset(small_rows(40), STORED, url, **SETTINGS)
    before, reads = files_in(bucket, ""), []
    parts = read_parts(url, STORED, SETTINGS["objects"])
    plan = plan_dataset(small_rows(44), STORED, seed=3, layout=SMALL, objects=SETTINGS["objects"], published=parts)
    second = f"{bucket.url}/d/v2"
    receipts = {
        task.name: run_task(task, staging=second, read_object=lambda uri: reads.append(uri) or read_png(uri))
        for task in plan.tasks
    }
    assert publish(plan, receipts, staging=second, folder=second).is_new
    assert sorted(reads) == [f"png:{number}" for number in range(40, 44)]
    after = files_in(bucket, "")
    assert before.items() <= after.items()
    assert {data for name, data in before.items() if name.endswith(".parquet")} <= {
        data for name, data in after.items() if name.startswith("d/v2/") and name.endswith(".parquet")
    }
    assert verify(second).rows == 44
    assert rows_in(second) == sorted(number for number in range(44) if number % 5)


def test_of_two_publishers_one_wins_and_the_other_sees_its_work(bucket, url):
    plan = plan_dataset(small_rows(30), STORED, seed=3, layout=SMALL, objects={"image": "object_uri"})
    receipts = {task.name: run_task(task, staging=url, read_object=read_png) for task in plan.tasks}
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(publish(plan, receipts, staging=url, folder=url)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.is_new for each in found) == [False, False, False, True]
    find_published(url, plan)
    assert verify(url).rows == 30
    assert all(key.rsplit("/", 1)[-1].startswith(("part-", "_")) for key in bucket.list_keys("d"))
    assert not [key for key in bucket.list_keys("d") if drafts.is_leftover(key.removeprefix("d/v1/"))]


KILLED = """
    import sys
    sys.path.insert(0, {root!r})
    from loaders import write_dataset
    from loaders.stores.remote import RemoteFiles
    from tests.loaders.test_bucket_publishing import SETTINGS, STORED, small_rows
    for verb in ("put", "put_if_absent", "delete"):
        def said(self, name, *rest, real=getattr(RemoteFiles, verb)):
            print("next", flush=True)
            sys.stdin.readline()
            return real(self, name, *rest)
        setattr(RemoteFiles, verb, said)
    write_dataset(small_rows(24), STORED, {url!r}, **SETTINGS)
    print("done", flush=True)
"""


def test_a_publisher_killed_before_any_of_its_writes_leaves_nothing_half_visible_and_the_next_one_cleans(
    bucket, url, tmp_path
):
    script = textwrap.dedent(KILLED).format(root=str(Path(__file__).parents[2]), url=url)
    clean = write_dataset(small_rows(24), STORED, tmp_path / "v1", **SETTINGS)
    expected = sorted(f"d/{path.relative_to(tmp_path)}" for path in (tmp_path / "v1").rglob("*") if path.is_file())
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        seen = []
        while writer.stdout.readline() == "next\n":
            # As if it were killed here: what is in the bucket is all that a reader sees, and a run that follows.
            whole = "d/v1/_dataset.json" in bucket.list_keys("d")
            seen.append(whole)
            for split, entry in clean.dataset.splits.items():
                if whole:
                    assert len(rows_in(url, split)) == entry.rows
                else:
                    with pytest.raises(FormatError, match="is no published dataset"):
                        rows_in(url, split)
            writer.stdin.write("\n")
            writer.stdin.flush()
    assert seen.count(False) > 10
    assert seen.count(True) > 3
    assert bucket.list_keys("d") == expected


@pytest.mark.parametrize("written", [1, 4, 8, 11, 13, 14])
def test_after_a_kill_the_next_run_uploads_only_what_is_missing_and_leaves_nothing(bucket, url, tmp_path, written):
    script = textwrap.dedent(KILLED).format(root=str(Path(__file__).parents[2]), url=url)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        for _ in range(written):
            assert writer.stdout.readline() == "next\n"
            writer.stdin.write("\n")
            writer.stdin.flush()
        assert writer.stdout.readline() == "next\n"
        writer.kill()
    before = {key: bucket.store().head(key)["last_modified"] for key in bucket.list_keys("d") if "part-" in key}
    clean = write_dataset(small_rows(24), STORED, tmp_path / "v1", **SETTINGS)
    done = write_dataset(small_rows(24), STORED, url, **SETTINGS)
    assert done.dataset == clean.dataset
    assert verify(url).rows == 24
    assert {str(path.relative_to(tmp_path)) for path in (tmp_path / "v1").rglob("*") if path.is_file()} == {
        key.removeprefix("d/") for key in bucket.list_keys("d")
    }
    noted = [key for key in before if "_receipts" not in key]
    assert {key: bucket.store().head(key)["last_modified"] for key in noted[:-1]} == {
        key: before[key] for key in noted[:-1]
    }


def test_faults_of_the_network_change_no_byte(bucket, url, tmp_path, proxy, monkeypatch):
    use(bucket.through(proxy.endpoint), tmp_path, monkeypatch)
    drafts._opened.cache_clear()
    with proxy.injecting(Chance(("503", "500", "reset", "lost", "late", "cut"), rate=0.2, seed=5)):
        done = write_dataset(small_rows(24), STORED, url, **SETTINGS)
        assert verify(url).rows == 24
    assert sum(proxy.struck().values()) > 5
    assert done.dataset == write_dataset(small_rows(24), STORED, tmp_path / "v1", **SETTINGS).dataset
    drafts._opened.cache_clear()


def test_a_lost_answer_of_the_last_put_is_known_as_ours(bucket, url, tmp_path, proxy, monkeypatch):
    use(bucket.through(proxy.endpoint), tmp_path, monkeypatch)
    drafts._opened.cache_clear()
    with proxy.injecting(Fault("lost", method="PUT", path="_dataset.json")):
        assert write_dataset(small_rows(12), STORED, url, **SETTINGS).is_new
    assert proxy.struck() == {"lost": 1}
    drafts._opened.cache_clear()


def test_a_split_that_was_copied_away_is_read_on_its_own_and_a_half_published_one_is_not(bucket, url):
    write_dataset(small_rows(24), STORED, url, **SETTINGS)
    expected = rows_in(url)
    for key in bucket.list_keys("d/v1/train"):
        bucket.ask("PUT", key.replace("d/v1/train", "mine/copy"), body=bucket.ask("GET", key).body)
    assert rows_in(f"{bucket.url}/mine", "copy") == expected
    bucket.ask("PUT", f"mine/copy/{UNFINISHED}")
    with pytest.raises(FormatError, match="it is being published, or its publisher was killed"):
        rows_in(f"{bucket.url}/mine", "copy")


def test_opening_a_split_asks_once_whether_it_is_finished(bucket, url, tmp_path, proxy, monkeypatch):
    write_dataset(small_rows(24), STORED, url, **SETTINGS)
    use(bucket.through(proxy.endpoint), tmp_path, monkeypatch)
    with make_reader(f"{url}/train", batch_size=1):
        pass
    assert [(seen.method, seen.key.rsplit("/", 1)[-1]) for seen in proxy.asked(key=UNFINISHED)] == [
        ("GET", UNFINISHED)
    ]
    assert not proxy.asked(key="_dataset.json")


def test_who_may_not_list_is_refused_a_missing_name_and_reads_all_the_same(bucket, url, tmp_path, proxy, monkeypatch):
    write_dataset(small_rows(24), STORED, url, **SETTINGS)
    expected = rows_in(url)
    use(bucket.through(proxy.endpoint), tmp_path, monkeypatch)
    with proxy.injecting(Fault("403", times=9, path=UNFINISHED)):
        assert rows_in(url) == expected
    assert proxy.struck() == {"403": 1}


def test_damage_in_a_bucket_is_named(bucket, url):
    write_dataset(small_rows(24), STORED, url, **SETTINGS)
    assert list(damages(url)) == []
    key = next(key for key in bucket.list_keys("d/v1/train") if "part-" in key)
    data = bytearray(bucket.ask("GET", key).body)
    data[len(data) // 2] ^= 1
    bucket.ask("PUT", key, body=bytes(data))
    assert list(damages(url, deep=False)) == []
    (found,) = damages(url)
    assert f"{bucket.url}/{key} is damaged: expected" in found
    with pytest.raises(CorruptionError, match=r"part-00000\.parquet"):
        verify(url)
    bucket.ask("DELETE", key)
    bucket.ask("PUT", "d/v1/train/notes.txt", body=b"x")
    found = list(damages(url, deep=False))
    assert any("notes.txt: no manifest lists it" in each for each in found)
    assert any("found no file" in each for each in found)
    assert read_dataset(url).rows == 24
