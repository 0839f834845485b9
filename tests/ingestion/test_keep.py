"""The keep policy of a source: kept and dropped are all that was seen, and the ledger says why."""

from __future__ import annotations

import datetime
import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lakehouse.care.erase import erase
from lakehouse.errors import ConfigError
from lakehouse.ingestion.land import land
from lakehouse.ingestion.retention.policy import Keep
from lakehouse.ingestion.sources.source import source_from
from lakehouse.ingestion.watch import watch
from lakehouse.query import fetch
from schemas.canonical import bucket
from tests.ingestion.files import landed, png, put, source, stored_objects
from tests.lanes import examples
from tests.making import small_lake

UNSURE = {"unsure": {"confidence": {"below": 0.6}}}
NIGHT = {"night": {"brightness": {"below": 0.2}}}
ZERO = {"seen": 0, "stored": 0, "duplicate": 0, "refused": 0, "unchanged": 0, "dropped": 0}


def stating(folder, records):
    """A drop whose sidecar states a confidence for each file."""
    for number, name in enumerate(records):
        put(folder, name, f"bytes of {number}".encode())
    (folder / "said.json").write_text(json.dumps([{"path": name, **said} for name, said in records.items()]))
    return folder


def kept_source(folder, keep, **options):
    return source(folder, sidecar="said.json", keep=keep, **options)


def decisions(lake, columns="path, verdict, rule"):
    return fetch(lake, f"select {columns} from bronze.keep_decisions order by path, decision_id")


def test_what_no_rule_is_for_is_dropped_and_the_ledger_says_why(lake, tmp_path):
    drop = stating(tmp_path, {"a": {"confidence": 0.3}, "b": {"confidence": 0.93}})
    receipt = land(lake, kept_source(drop, Keep(UNSURE)))
    assert receipt.counts == ZERO | {"seen": 2, "stored": 1, "dropped": 1}
    assert json.loads(receipt.details["kept_by"]) == {"unsure": 1, "not_kept": 1}
    assert [row["path"] for row in landed(lake)] == ["a"]
    assert len(stored_objects(lake)) == 1
    assert decisions(lake, "path, verdict, rule, reason") == [
        {"path": "a", "verdict": "kept", "rule": "unsure", "reason": "unsure: confidence is 0.3"},
        {"path": "b", "verdict": "dropped", "rule": "not_kept",
         "reason": "unsure: confidence is 0.93; not in the sample of 0"},
    ]


def test_night_scenes_are_told_by_measuring_before_anything_is_stored(lake, tmp_path):
    for name, level in (("day", 200), ("night", 10)):
        Image.new("RGB", (8, 8), (level, level, level)).save(tmp_path / f"{name}.png")
    receipt = land(lake, source(tmp_path, keep=Keep(NIGHT)))
    assert receipt.counts == ZERO | {"seen": 2, "stored": 1, "dropped": 1}
    assert [row["path"] for row in landed(lake)] == ["night.png"]


def test_all_fields_of_a_rule_must_fit_and_any_rule_keeps(lake, tmp_path):
    drop = stating(tmp_path, {
        "a": {"confidence": 0.3, "site": "x"}, "b": {"confidence": 0.3, "site": "y"}, "c": {"confidence": 0.9,
        "site": "z"}, "d": {"confidence": 0.9, "site": "y"},
    })  # fmt: skip
    rules = {"unsure_x": {"confidence": {"max": 0.5}, "site": "x"}, "z": {"site": {"in": ["z", "q"]}}}
    land(lake, kept_source(drop, Keep(rules)))
    assert [(row["path"], row["rule"]) for row in decisions(lake)] == [
        ("a", "unsure_x"), ("b", "not_kept"), ("c", "z"), ("d", "not_kept")
    ]


def test_what_cannot_be_judged_is_kept_and_noted(lake, tmp_path):
    drop = stating(tmp_path, {"a": {"confidence": 0.9}, "b": {"confidence": None}, "c": {"confidence": "high"}})
    receipt = land(lake, kept_source(drop, Keep(UNSURE)))
    assert [(row["path"], row["rule"]) for row in decisions(lake)] == [
        ("a", "not_kept"), ("b", "unjudged"), ("c", "unjudged")
    ]
    assert "unjudged (2)" in "".join(map(str, receipt.notes))


def test_a_second_run_reads_no_dropped_file_again_and_another_policy_does(lake, tmp_path):
    drop = stating(tmp_path, {"a": {"confidence": 0.3}, "b": {"confidence": 0.93}})
    land(lake, kept_source(drop, Keep(UNSURE)))
    again = land(lake, kept_source(drop, Keep(UNSURE)))
    assert (again.counts["unchanged"], again.changed) == (2, False)
    put(drop, "d", b"new")  # no listing is as it was, so that the table is asked
    assert land(lake, kept_source(drop, Keep(UNSURE))).counts == ZERO | {"seen": 3, "stored": 1, "unchanged": 2}
    assert next(watch(lake, kept_source(drop, Keep(UNSURE)))).counts["taken"] == 0
    wider = land(lake, kept_source(drop, Keep({"all": {"confidence": {"min": 0}}})))
    assert wider.counts == ZERO | {"seen": 3, "stored": 1, "unchanged": 2}


def test_the_same_bytes_are_known_again_under_another_name(lake, tmp_path):
    drop = stating(tmp_path, {"a": {"confidence": 0.93}})
    land(lake, kept_source(drop, Keep(UNSURE)))
    put(drop, "other name", b"bytes of 0")
    (drop / "said.json").write_text(json.dumps([{"path": "a", "confidence": 0.93},
                                               {"path": "other name", "confidence": 0.1}]))
    receipt = land(lake, kept_source(drop, Keep(UNSURE)))
    assert receipt.counts == ZERO | {"seen": 2, "stored": 1, "unchanged": 1}
    assert [note.rule for note in receipt.notes] == ["dropped_before"]


def test_the_sample_is_unbiased_and_is_the_one_that_sql_finds(lake, tmp_path):
    files = 1000
    for number in range(files):
        put(tmp_path, f"{number}", str(number).encode())
    land(lake, source(tmp_path, keep=Keep(sample=0.1, seed=7)))
    rows = decisions(lake, "sha256, verdict, is_sampled, rule")
    assert {row["sha256"] for row in rows if row["verdict"] == "kept"} == {
        row["sha256"] for row in rows if bucket(row["sha256"], 7) < 0.1 * 2**52
    }
    assert all(row["is_sampled"] == (row["rule"] == "sample") for row in rows)
    kept = sum(row["verdict"] == "kept" for row in rows)
    assert abs(kept - 0.1 * files) < 4 * math.sqrt(files * 0.1 * 0.9)
    asked = "select count(*) as n from bronze.landed_files where petrel_bucket(sha256, 7) < 0.1 * pow(2, 52)"
    assert fetch(lake, asked) == [{"n": kept}]


def test_what_is_linked_and_dropped_is_no_observation(lake, tmp_path):
    drop = stating(tmp_path, {"a": {"confidence": 0.3}, "b": {"confidence": 0.93}})
    receipt = land(lake, kept_source(drop, Keep(UNSURE), mode="link"))
    assert receipt.counts == ZERO | {"seen": 2, "stored": 1, "dropped": 1}
    assert [row["status"] for row in landed(lake)] == ["linked"]


def test_a_large_file_is_dropped_as_a_small_one(lake, tmp_path):
    drop = stating(tmp_path, {"large": {"confidence": 0.93}})
    put(drop, "large", b"x" * (3 << 20))
    assert land(lake, kept_source(drop, Keep(UNSURE))).counts == ZERO | {"seen": 1, "dropped": 1}
    assert stored_objects(lake) == {}


def test_erasing_a_patient_erases_decisions_too(lake, tmp_path):
    drop = stating(tmp_path, {"a": {"confidence": 0.93, "patient": "17"}, "b": {"confidence": 0.93, "patient": "18"}})
    land(lake, kept_source(drop, Keep(UNSURE), group_keys={"patient": "patient"}))
    erase(lake, group=("patient", "17"), reason="asked for")
    assert [row["path"] for row in decisions(lake)] == ["b"]


@settings(max_examples=examples(8, long=100), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    confidences=st.lists(st.one_of(st.none(), st.floats(0, 1), st.sampled_from(["high", ""])), min_size=1, max_size=8),
    below=st.floats(0, 1), sample=st.floats(0, 1), seed=st.integers(0, 9),
)  # fmt: skip
def test_kept_and_dropped_are_all_that_was_seen(tmp_path_factory, confidences, below, sample, seed):
    folder = tmp_path_factory.mktemp("kept")
    records = {str(number): {"confidence": each} for number, each in enumerate(confidences)}
    (folder / "drop").mkdir()
    drop = stating(folder / "drop", records)
    policy = Keep({"unsure": {"confidence": {"below": below}}}, sample=sample, seed=seed)
    with small_lake(folder / "lake") as lake:
        counts = land(lake, kept_source(drop, policy)).counts
        rows = decisions(lake, "path, sha256, verdict")
        kept = {row["path"] for row in rows if row["verdict"] == "kept"}
        assert counts["stored"] + counts["duplicate"] + counts["dropped"] == counts["seen"] == len(records)
        assert kept == {row["path"] for row in landed(lake)}
        wanted = {
            row["path"] for row in rows
            if not isinstance(said := records[row["path"]]["confidence"], float)
            or said < below or bucket(row["sha256"], seed) < sample * 2**52
        }  # fmt: skip
        assert kept == wanted


@pytest.mark.parametrize(("keep", "said"), [
    ({}, "neither a rule nor a sample"),
    ({"sample": 1.5}, "from 0 to 1"),
    ({"rules": {"sample": {"confidence": 1}}}, "cannot be called"),
    ({"rules": {"a": {}}}, "has no field"),
    ({"rules": {"a": {"confidence": {"under": 1}}}}, "unknown condition `under`"),
    ({"rules": {"a": {"confidence": {"below": "low"}}}}, "below takes a number"),
    ({"rules": {"a": {"confidence": {"below": float("nan")}}}}, "found nan"),
    ({"rules": {"a": {"confidence": {"in": []}}}}, "an empty list, which nothing is in"),
    ({"rules": {"a": {"at": {"in": [datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)]}}}}, "at: in: .* in quotes"),
    ({"rules": {"a": {"confidence": {"min": 0.6, "below": 0.6}}}}, "no number is min 0.6 and below 0.6"),
    ({"rule": {}}, "unknown key `rule`"),
])  # fmt: skip
def test_a_policy_that_cannot_be_meant_is_refused(keep, said):
    with pytest.raises(ConfigError, match=said):
        source_from({"name": "a", "folder": "b", "keep": keep}, where="here")


def test_a_rule_about_what_nobody_knows_is_refused(lake, tmp_path):
    put(tmp_path, "a.png", png(1))
    with pytest.raises(ConfigError, match="`brightnes`, which no sidecar states and nobody measures"):
        land(lake, source(tmp_path, keep=Keep({"night": {"brightnes": {"below": 0.2}}})))
    assert landed(lake) == []
