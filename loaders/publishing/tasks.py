"""Write a planned dataset part by part: in this process, a pool or a cluster.

A task reads the bytes of its rows where it runs, and can be run again at any time: a part that is already there,
whole, is kept.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from loaders.errors import CorruptionError, DeadlineError, FormatError, StorageError
from loaders.format.fields import Field, arrow_schema
from loaders.format.manifest import PartReceipt
from loaders.format.part_writer import write_part
from loaders.publishing.drafts import RECEIPTS, Draft, draft_at, sha256_in, stamp_in
from loaders.publishing.part_task import PartTask
from loaders.stores.ahead import ahead

ReadObject = Callable[[str], bytes]
"""Returns the bytes behind one URI; picklable if the tasks run elsewhere."""

RECEIPT_SCHEMA = pa.schema([("task", pa.string()), ("receipt", pa.string())])


def run_task(
    task: PartTask, *, staging: str | Path | Draft, read_object: ReadObject | None = None, at_once: int = 1
) -> PartReceipt:
    """Write one part, or take it over, or return its receipt if an earlier run did; holds one row group in memory.

    Args:
        task: What to write.
        staging: The draft; or its staging folder; or the URL of the folder to be published, if it is in a bucket.
        read_object: Returns the bytes behind a URI.
        at_once: Objects that are read at once; as many more are in memory.

    Raises:
        FormatError: If rows, bytes or types are not as planned.
        CorruptionError: If a part that is taken over is gone or has another size.
    """
    draft = staging if not isinstance(staging, str | Path) else draft_at(staging, staging=staging)
    done = _completed(draft, task)
    if done is not None:
        return done
    if task.taken is not None:
        receipt = replace(task.taken.receipt, name=task.part.name)
        _take_over(draft, task.taken.place, task.name, receipt)
    else:
        with draft.writing(task.name) as path:
            batches = _batches(task, read_object, at_once)
            receipt = write_part(batches, path, task.fields, row_groups=task.part.row_groups)
    if not draft.is_sealed():
        note = {"key": task.key, "receipt": receipt.to_json(), "stamp": stamp_in(draft.files, task.name)}
        draft.put(_note_of(task.split, task.part.name), json.dumps(note).encode())
    return receipt


def _take_over(draft: Draft, place: str, name: str, receipt: PartReceipt) -> None:
    if draft.is_sealed():
        return
    try:
        draft.take_over(place, name)
        size = draft.files.size(name)
    except FileNotFoundError as error:
        raise CorruptionError(f"{place}: a published part is gone; publish again without it", file=place) from error
    if size != receipt.bytes:
        raise CorruptionError(
            f"{place}: expected a part of {receipt.bytes} bytes, found {size}; remove the folder of that version and "
            "publish it again", file=place
        )  # fmt: skip


def is_untouched(draft: Draft, split: str, receipt: PartReceipt) -> bool:
    """Return whether nobody has written to a part since `run_task` read it back and hashed it: nothing is read."""
    try:
        record = json.loads(draft.files.read_whole(_note_of(split, receipt.name)))
        stamp = stamp_in(draft.files, f"{split}/{receipt.name}")
        return bool(record["stamp"] == stamp and record["receipt"]["sha256"] == receipt.sha256)
    except (StorageError, DeadlineError):
        raise  # a network that fails is no answer
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _note_of(split: str, part: str) -> str:
    return f"{RECEIPTS}/{split}-{part}.json"


def run_task_batches(
    batches: Iterator[pa.RecordBatch], *, staging: str | Draft, read_object: ReadObject | None = None, at_once: int = 1
) -> Iterator[pa.RecordBatch]:
    """Write the parts of some rows of `task_table()`: what a distributed map calls (through functools.partial).

    Args as `run_task`.

    Yields:
        One record batch of `RECEIPT_SCHEMA` for each part.
    """
    for batch in batches:
        payloads: list[bytes] = batch.column("payload").to_pylist()
        for payload in payloads:
            task = PartTask.from_bytes(payload)
            receipt = run_task(task, staging=staging, read_object=read_object, at_once=at_once)
            values = [pa.array([task.name]), pa.array([json.dumps(receipt.to_json())])]
            yield pa.RecordBatch.from_arrays(values, schema=RECEIPT_SCHEMA)


def receipts_of(table: pa.Table) -> dict[str, PartReceipt]:
    """Return {task name: receipt} from the rows that `run_task_batches` yielded.

    Raises:
        FormatError: If a row is no receipt.
    """
    names: list[str] = table.column("task").to_pylist()
    texts: list[str] = table.column("receipt").to_pylist()
    return {name: PartReceipt.from_json(json.loads(text)) for name, text in zip(names, texts, strict=True)}


def _completed(draft: Draft, task: PartTask) -> PartReceipt | None:
    try:
        record = json.loads(draft.files.read_whole(_note_of(task.split, task.part.name)))
        receipt = PartReceipt.from_json(record["receipt"])
        if record["key"] != task.key or draft.files.size(task.name) != receipt.bytes:
            return None
        whole = is_untouched(draft, task.split, receipt) or sha256_in(draft.files, task.name) == receipt.sha256
    except (StorageError, DeadlineError):
        raise
    except (OSError, ValueError, KeyError, TypeError):
        return None  # nothing, or not all of it, survived: write it again
    return receipt if whole else None


def _batches(task: PartTask, read_object: ReadObject | None, at_once: int) -> Iterable[pa.RecordBatch]:
    if task.objects and read_object is None:
        raise FormatError(f"{task.name}: fields {sorted(task.objects)} are objects, so read_object is needed")
    # From the first row of the part to its last: while a row group is written, the next one's objects are on their way.
    contents = {
        field.name: ahead(
            partial(_read, read_object, field.name), task.rows.column(task.objects[field.name]).to_pylist(),
            at_once=at_once,
        )
        for field in task.fields if read_object is not None and field.name in task.objects
    }  # fmt: skip
    try:
        at = 0
        for count in task.part.row_groups:
            rows = task.rows.slice(at, count)
            at += count
            columns = [_column(rows, field, contents.get(field.name)) for field in task.fields]
            yield pa.RecordBatch.from_arrays(columns, schema=arrow_schema(task.fields))
    finally:
        for content in contents.values():
            content.close()


def _column(rows: pa.Table, field: Field, content: Iterator[bytes | None] | None) -> pa.Array:
    if content is None:
        return rows.column(field.name).combine_chunks()
    return pa.array(list(itertools.islice(content, rows.num_rows)), field.type)


def _read(read_object: ReadObject, column: str, uri: str | None) -> bytes | None:
    try:
        return None if uri is None else read_object(uri)
    except Exception as error:
        error.add_note(f"while reading {uri} for column {column}")
        raise
