"""Events of OpenLineage: they have what the specification demands, tell what was read and written, and stop nobody."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from lakehouse.config import load_config
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import ConfigError, RecipeError
from lakehouse.lineage.events import dataset_name
from lakehouse.lineage.sending import send
from lakehouse.query import fetch
from lakehouse.steps.receipts import last
from lakehouse.steps.step import step
from schemas.tables import ENTITIES
from tests.making import Clock, add_entities, add_opinions, opinion, small_lake

NAMES = ["a", "b", "c", "d"]
KINDS = {"START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"}


def check(event: Mapping[str, Any]) -> None:
    """Compare an event with what 2-0-2 of the specification requires of a RunEvent."""
    assert {"eventTime", "producer", "schemaURL", "run", "job"} <= event.keys()
    assert event["eventType"] in KINDS
    assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    assert event["schemaURL"].startswith("https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent")
    assert uuid.UUID(event["run"]["runId"]).version == 4
    assert event["job"]["namespace"]
    assert event["job"]["name"]
    for each in (*event["inputs"], *event["outputs"]):
        assert each["namespace"]
        assert each["name"]
    holders = (event["run"], event["job"], *event["inputs"], *event["outputs"])
    facets = [facet for each in holders for kind in ("facets", "inputFacets", "outputFacets")
              for facet in each.get(kind, {}).items()]  # fmt: skip
    for name, facet in facets:
        assert {"_producer", "_schemaURL"} <= facet.keys(), name
        demanded = {
            "processing_engine": {"version"}, "errorMessage": {"message", "programmingLanguage"},
            "schema": {"fields"}, "version": {"datasetVersion"}, "outputStatistics": {"rowCount"},
        }[name]  # fmt: skip
        assert demanded <= facet.keys()


def events_in(path: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    for each in found:
        check(each)
    return found


def recipe(name="zoo", **more):
    return parse_recipe({"name": name, "question": "animal"} | more, where="zoo.toml")


def tables(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {
        ".".join(row["name"].split("/")[-2:]): row["facets"]["version"]["datasetVersion"]
        for row in rows if "version" in row["facets"]
    }  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A build, the same again, a step that failed, one that was stopped, and one within another."""
    top = tmp_path_factory.mktemp("lineage")
    path, clock = top / "somewhere" / "events.jsonl", Clock()
    with small_lake(top / "lake", f'lineage.openlineage="{path}"', 'lineage.namespace="tests"', clock=clock) as lake:
        add_entities(lake, NAMES)
        add_opinions(lake, [opinion(name, "human:ada", "cat") for name in NAMES])
        made = build(lake, recipe())
        pins = json.loads(fetch(lake, "select pins_json from gold.datasets")[0]["pins_json"])
        again = build(lake, recipe())
        with pytest.raises(RecipeError), step(lake, "broken", reads={ENTITIES.name: pins[ENTITIES.name]}):
            raise RecipeError("no key token=hunter2 at s3://user:hunter2@bucket")
        with pytest.raises(KeyboardInterrupt), step(lake, "stopped"):
            raise KeyboardInterrupt
        clock.forward(seconds=1)
        with step(lake, "outer") as outer:
            with step(lake, "inner"):
                fetch(lake, "select count(*) as n from silver.actors")
            outer.counts = {"n": fetch(lake, "select count(*) as n from silver.entities")[0]["n"]}
        yield lake, path, pins, made, again


def of(path: Path, job: str) -> list[dict[str, Any]]:
    return [each for each in events_in(path) if each["job"]["name"] == job]


def test_a_build_tells_what_it_read_and_wrote_at_which_versions(told):
    lake, path, pins, made, again = told
    start, complete, *repeated = of(path, "build")
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] == complete["run"]["runId"] == made.run_id
    assert tables(start["inputs"]) == {name: str(version) for name, version in pins.items()}
    assert tables(start["inputs"]).items() <= tables(complete["inputs"]).items()
    written = {each.table: str(each.version_after) for each in made.writes if each.rows_new}
    assert tables(complete["outputs"]) == written
    rows = {each["name"].rpartition("/")[2]: each["outputFacets"]["outputStatistics"]["rowCount"]
            for each in complete["outputs"]}  # fmt: skip
    assert (rows["dataset_members"], rows["datasets"]) == (4, 1)
    assert complete["job"]["namespace"] == "tests"
    (entities,) = [each for each in complete["inputs"] if each["name"].endswith("tables/silver/entities")]
    assert entities["namespace"] == "file"
    assert entities["name"] == f"{lake.home.address}/tables/silver/entities"
    assert [each["name"] for each in entities["facets"]["schema"]["fields"]] == list(ENTITIES.column_names)
    assert [each["eventType"] for each in repeated] == ["START", "COMPLETE"]
    assert repeated[0]["run"]["runId"] == again.run_id != made.run_id
    assert repeated[1]["outputs"] == []


def test_the_receipt_has_the_id_of_the_run(told):
    lake, path, *_ = told
    kept = {each.step: each.run_id for each in last(lake.files)}
    assert kept["outer"] == of(path, "outer")[0]["run"]["runId"]
    (name,) = [each.name for each in lake.files.list("_runs") if f"-outer-{kept['outer'][:8]}" in each.name]
    assert name


def test_a_step_that_fails_or_is_stopped_says_so_without_secrets(told):
    _, path, pins, *_ = told
    start, fail = of(path, "broken")
    assert (start["eventType"], fail["eventType"]) == ("START", "FAIL")
    assert tables(fail["inputs"]) == {ENTITIES.name: str(pins[ENTITIES.name])}
    message = fail["run"]["facets"]["errorMessage"]["message"]
    assert message.startswith("RecipeError: no key")
    assert [each["eventType"] for each in of(path, "stopped")] == ["START", "ABORT"]
    assert "hunter2" not in path.read_text()


def test_what_a_step_within_a_step_reads_is_the_outer_ones_too(told):
    _, path, *_ = told
    assert set(tables(of(path, "inner")[-1]["inputs"])) == {"silver.actors"}
    assert set(tables(of(path, "outer")[-1]["inputs"])) == {"silver.actors", "silver.entities"}


def test_nobody_is_told_where_nobody_asks(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        with step(lake, "quiet") as record:
            pass
        assert record.finished().notes == ()
        assert uuid.UUID(record.finished().run_id)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["lake"]


@contextmanager
def server(status: int) -> Iterator[tuple[str, list[tuple[Mapping[str, str], dict[str, Any]]]]]:
    """A server that answers with `status`, and what it was sent."""
    got: list[tuple[Mapping[str, str], dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((dict(self.headers), json.loads(body)))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{found.server_port}/api/v1/lineage", got
        finally:
            found.shutdown()
            thread.join()


def test_a_server_gets_events_with_the_key_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "hunter2")
    with server(201) as (url, got), small_lake(tmp_path / "lake", f'lineage.openlineage="{url}"') as lake:
        with step(lake, "posted") as record:
            record.counts = {"n": 1}
        assert record.finished().notes == ()
    for headers, event in got:
        check(event)
        assert headers["Authorization"] == "Bearer hunter2"
        assert "hunter2" not in json.dumps(event)
    assert [event["eventType"] for _, event in got] == ["START", "COMPLETE"]


@pytest.mark.parametrize("refusing", [True, False])
def test_what_cannot_be_sent_is_a_note_and_the_step_is_done(tmp_path, refusing):
    with server(500) as (url, _):
        if refusing:
            settings = [f'lineage.openlineage="{url}"']
        else:
            (tmp_path / "file").write_text("no folder")
            settings = [f'lineage.openlineage="{tmp_path}/file/events.jsonl"']
        with small_lake(tmp_path / "lake", *settings) as lake:
            add_entities(lake, NAMES)
            receipt = build(lake, recipe(question=""))
            assert receipt.counts["members"] == 4
            (note,) = [each for each in receipt.notes if each.rule == "lineage_not_sent"]
            assert (note.count, note.example.split()[0]) == (2, "START")


def test_a_server_that_is_not_there_is_told_in_one_line():
    with server(200) as (url, _):
        pass
    assert send(url, {"eventType": "START"}, timeout_s=1).startswith(f"START to {url}: Connection refused")


@pytest.mark.parametrize(("place", "said"), [
    ("ftp://host/x", "http or https"), ("https://me:hunter2@host/x", "user and password"),
    ("https://host/x?token=hunter2", "OPENLINEAGE_API_KEY"),
])  # fmt: skip
def test_places_that_cannot_be_one_or_hold_a_secret_are_refused(place, said):
    with pytest.raises(ConfigError, match=said) as caught:
        load_config(overrides=[f'lineage.openlineage="{place}"'], environ={})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("address", "expected"), [
    ("/data/lake", ("file", "/data/lake/t")), ("s3://bucket/a/b", ("s3://bucket", "a/b/t")),
    ("gs://bucket", ("gs://bucket", "t")),
])  # fmt: skip
def test_places_of_a_lake_are_named_as_the_specification_does(address, expected):
    assert tuple(dataset_name(address, "t").values()) == expected
