"""Served events: four parts that come in any order are joined by one id, and what was said becomes opinions."""

from __future__ import annotations

import hashlib
import itertools
import json

import pytest

from lakehouse.errors import ConfigError, IngestError
from lakehouse.ingestion.land import land
from lakehouse.query import fetch
from lakehouse.serving.capture import capture
from tests.ingestion.files import png, put, source
from tests.lanes import examples
from tests.making import small_lake

PARTS = {
    "input": None,
    "prediction": {"model": "net@3", "label": "cat", "probs": {"cat": 0.9, "dog": 0.1}, "at": "2026-01-01T10:00:00Z"},
    "metadata": {"device": "phone", "battery": 0.5},
    "feedback": {"user": "ada", "label": "dog", "at": "2026-01-01T11:00:00Z"},
}


def events(folder):
    return source(folder, name="served", form="capture", options={"question": "animal"})


def send(folder, part, event="e1", **changes):
    said = PARTS[part]
    if said is None:
        put(folder, f"inputs/{event}.png", png(int(event[1:])))
    else:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{part}.jsonl").open("a") as stream:
            stream.write(json.dumps({"event_id": event, "part": part} | said | changes) + "\n")


def run(lake, folder):
    return {receipt.step: receipt for receipt in capture(lake, events(folder))}


ORDERS = list(itertools.permutations(PARTS))


@pytest.mark.parametrize("order", examples([ORDERS[0], ORDERS[9], ORDERS[23]], long=ORDERS))
def test_the_four_parts_of_an_event_are_joined_whatever_came_first(tmp_path, order):
    with small_lake(tmp_path / "lake") as lake:
        for came, part in enumerate(order, start=1):
            send(tmp_path / "drop", part)
            counts = run(lake, tmp_path / "drop")["capture"].counts
            assert (counts["events"], counts["complete"], counts["waiting"]) == (1, int(came == 4), int(came < 4))
        (event,) = fetch(lake, "select * from served_events")
        entity = fetch(lake, "select entity_id from entities")[0]["entity_id"]
        assert (event["source"], event["event_id"], event["entity_id"]) == ("served", "e1", entity)
        for part in ("prediction", "metadata", "feedback"):
            assert json.loads(event[f"{part}_json"]) == {"event_id": "e1", "part": part} | PARTS[part]
        said = fetch(lake, "select actor_id, label, subject_id, ext['event_id'] as event from current_opinions "
                           "order by actor_id")  # fmt: skip
        assert said == [
            {"actor_id": "human:ada", "label": "dog", "subject_id": entity, "event": "e1"},
            {"actor_id": "model:net@3", "label": "cat", "subject_id": entity, "event": "e1"},
        ]
        again = run(lake, tmp_path / "drop")
        assert all(receipt.rows_new == 0 for name, receipt in again.items() if name != "opinions")
        assert (again["capture"].counts["same"], again["opinions"].counts["new"]) == (3, 0)


def test_what_is_no_part_is_refused_by_rule_and_the_rest_is_kept(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        send(tmp_path / "drop", "input")
        send(tmp_path / "drop", "prediction")
        bad = [b"{no json", b"[1]", b"\xff", b'{"part": "metadata"}', b'{"event_id": "e1", "part": "guess"}',
               b'{"event_id": "e1", "part": "feedback", "label": "cat"}']  # fmt: skip
        put(tmp_path / "drop", "bad.jsonl", b"\n".join(bad))
        receipts = run(lake, tmp_path / "drop")
        assert receipts["capture"].counts == {
            "records": 7, "new": 1, "same": 0, "erased": 0, "refused": 6, "events": 1, "complete": 0, "waiting": 1
        }
        assert receipts["opinions"].counts["new"] == 1
        rules = {row["rule"] for row in fetch(lake, "select rule from silver.rejected where step = 'capture'")}
        assert {"not_an_object", "not_utf8", "no_event", "unknown_part", "nobody"} <= rules


def test_an_event_with_two_inputs_is_told_and_answered_about_the_last(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        send(tmp_path / "drop", "input")
        put(tmp_path / "drop", "inputs/e1.copy", png(1))  # the same bytes are one input
        send(tmp_path / "drop", "prediction")
        assert "several_inputs" not in {note.rule for note in run(lake, tmp_path / "drop")["capture"].notes}
        put(tmp_path / "drop", "inputs/e1.again", png(2), at=1_800_000_000)
        notes = {note.rule: note for note in run(lake, tmp_path / "drop")["capture"].notes}
        assert notes["several_inputs"].count == 1
        assert notes["several_inputs"].example.startswith("e1: inputs of other bytes have its id")
        (event,) = fetch(lake, "select entity_id, num_inputs from served_events")
        assert event == {"entity_id": hashlib.sha256(png(2)).hexdigest(), "num_inputs": 2}


def test_an_answer_that_does_not_pass_holds_up_no_other(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        for event in ("e1", "e2"):
            send(tmp_path / "drop", "input", event)
        send(tmp_path / "drop", "prediction", "e1", probs={"cat": 7})
        send(tmp_path / "drop", "prediction", "e2")
        counts = run(lake, tmp_path / "drop")["opinions"].counts
        assert (counts["new"], counts["rejected"]) == (1, 1)


def test_a_capture_is_told_from_other_sources(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        with pytest.raises(ConfigError, match="capture"):
            land(lake, events(tmp_path))
        with pytest.raises(ConfigError, match="form = \"capture\""):
            list(capture(lake, source(tmp_path)))
        with pytest.raises(ConfigError, match="option `question` is missing"):
            source(tmp_path, form="capture")
        with pytest.raises(IngestError, match="no folder"):
            run(lake, tmp_path / "none")
