"""Steps: receipts, balances, and work that is skipped only when its inputs and outputs are as they were."""

from __future__ import annotations

import errno
import shutil

import pytest

from lakehouse.errors import CheckFailedError
from lakehouse.steps.fresh import find_note
from lakehouse.steps.receipts import last
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.read import table_path
from loaders.errors import StorageError
from schemas.tables import ACTORS

INPUTS = {"silver.entities": 3, "options": {"text": "ä", "share": 0.5, "none": None}}


def actor(number: int) -> dict[str, object]:
    return {"actor_id": f"human:{number}", "kind": "human", "name": "Ada"}


def run(lake, inputs=None, *, complete=True, number=1) -> StepRecord:
    """Run a step that adds one actor; returns its record."""
    with step(lake, "greet", inputs=inputs) as record:
        if not record.unchanged:
            record.writes.append(insert_rows(lake, ACTORS, [actor(number)], step="greet"))
            record.counts = {"seen": 1, "stored": 1}
            record.counts_again = {"seen": 1, "stored": 0}
            record.details = {"who": "ada"}
            record.complete = complete
    return record


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "Error writing bytes to file"),
                                   OSError(errno.EDQUOT, "Disk quota exceeded"),
                                   RuntimeError("IO Error: could not write: No space left on device")])  # fmt: skip
def test_a_full_disk_is_an_error_of_ours_whichever_library_found_it(lake, error):
    with pytest.raises(StorageError, match=r"greet: .*the disk is full.*make room"), step(lake, "greet"):
        raise error
    with pytest.raises(OSError, match="read-only") as found, step(lake, "greet"):
        raise OSError(errno.EROFS, "read-only")
    assert not isinstance(found.value, StorageError)


def test_a_step_that_ends_well_leaves_its_receipt(lake, clock):
    receipt = run(lake).finished()
    assert (receipt.step, receipt.engine, receipt.started_at) == ("greet", "embedded", clock.now)
    assert receipt.counts == {"seen": 1, "stored": 1}
    assert receipt.rows_new == 1
    assert last(lake.files) == [receipt]


def test_a_step_that_fails_leaves_neither_receipt_nor_note(lake):
    with pytest.raises(KeyError), step(lake, "greet", inputs=INPUTS):
        raise KeyError("x")
    assert last(lake.files) == []
    assert find_note(lake, "greet", INPUTS) is None


def test_a_receipt_is_not_to_be_had_before_the_end(lake):
    with step(lake, "greet") as record, pytest.raises(RuntimeError, match="not ended"):
        record.finished()


def test_the_same_inputs_are_not_worked_on_twice_and_the_receipt_tells_the_counts_of_a_repetition(lake):
    run(lake, INPUTS)
    again = run(lake, dict(reversed(INPUTS.items())))
    assert again.unchanged
    receipt = again.finished()
    assert (receipt.counts, receipt.details, receipt.writes) == ({"seen": 1, "stored": 0}, {"who": "ada"}, ())


def test_a_third_run_says_the_same_as_the_second(lake):
    run(lake, INPUTS)
    second, third = run(lake, INPUTS).finished(), run(lake, INPUTS).finished()
    assert (third.counts, third.details, third.writes) == (second.counts, second.details, second.writes)


@pytest.mark.parametrize("changed", [{"silver.entities": 4}, {"options": {}}, {"more": None}])
def test_other_inputs_are_worked_on(lake, changed):
    run(lake, INPUTS)
    assert not run(lake, INPUTS | changed).unchanged


def test_another_step_with_the_same_inputs_is_worked_on(lake):
    run(lake, INPUTS)
    with step(lake, "part", inputs=INPUTS) as record:
        assert not record.unchanged


def test_a_step_without_stated_inputs_is_always_worked_on(lake):
    run(lake)
    assert not run(lake).unchanged


def test_an_incomplete_step_is_worked_on_again(lake):
    run(lake, INPUTS, complete=False)
    assert not run(lake, INPUTS).unchanged


def test_a_table_that_lost_what_the_step_wrote_is_written_again(lake):
    run(lake, INPUTS)
    shutil.rmtree(table_path(lake.root, ACTORS))
    assert find_note(lake, "greet", INPUTS) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"unknown": 1}', '{"outputs": {"silver.nothing": 1}}', "\xff"])
def test_a_note_that_cannot_be_read_is_no_note(lake, text):
    run(lake, INPUTS)
    notes = list((lake.runs / "fresh").iterdir())
    assert len(notes) == 1
    notes[0].write_bytes(text.encode("latin-1"))
    assert not run(lake, INPUTS).unchanged


def test_the_notes_may_be_deleted_at_any_time(lake):
    run(lake, INPUTS)
    shutil.rmtree(lake.runs / "fresh")
    again = run(lake, INPUTS)
    assert not again.unchanged
    assert again.finished().rows_new == 0


def test_writes_to_one_table_are_shown_as_one(lake):
    with step(lake, "greet") as record:
        for number in (1, 2, 2):
            record.writes.append(insert_rows(lake, ACTORS, [actor(number)], step="greet"))
    (write,) = record.finished().writes
    assert (write.rows_offered, write.rows_new, write.version_after - write.version_before) == (3, 2, 2)


def test_what_does_not_add_up_is_an_error_that_shows_the_sum():
    balance("land", "files seen", {"stored": 2, "refused": 1}, 3)
    with pytest.raises(CheckFailedError, match="land: 4 files seen, but 2 stored \\+ 1 refused = 3"):
        balance("land", "files seen", {"stored": 2, "refused": 1}, 4)
