"""prepare and get: an id at once, one build however many ask, states that outlive the processes."""

from __future__ import annotations

import json
import multiprocessing
import time

import pytest

import lakehouse as lh
from jobs.cli import main
from lakehouse.config import config_of
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import RecipeError
from lakehouse.lake import utc_now
from lakehouse.opening import open_lake
from lakehouse.preparing.prepare import prepare
from lakehouse.preparing.states import FAILED, READY, RUNNING, get, lock_of, read_request, write_request
from lakehouse.preparing.worker import build_prepared
from lakehouse.steps.receipts import last
from lakehouse.tables.locks import lake_lock
from loaders.reader import make_reader
from tests.corpus import good_images
from tests.lanes import examples
from tests.making import Clock, add_entities, small_lake

RECIPE = {"name": "shapes", "split": {"ratios": {"train": 1.0}}}
PROCESSES = examples(3, long=8)


@pytest.fixture
def pictures(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        good_images(tmp_path / "pictures", 6)
        lh.land(lake, lh.Source(name="pictures", folder=str(tmp_path / "pictures")))
        lh.entities(lake)
        yield lake


def waited(lake, dataset_id, *, seconds=120.0):
    deadline = time.monotonic() + seconds
    found = get(lake, dataset_id)
    while found.state == RUNNING and time.monotonic() < deadline:
        time.sleep(0.2)
        found = get(lake, dataset_id)
    return found


def ask(config, ids):
    with open_lake(config_of(json.loads(config)), clock=utc_now) as lake:
        ids.put(prepare(lake, parse_recipe(RECIPE, where="r")).dataset_id)


def test_many_ask_and_one_builds(pictures):
    context = multiprocessing.get_context("spawn")
    ids = context.Queue()
    asking = [context.Process(target=ask, args=(pictures.config.to_json(), ids)) for _ in range(PROCESSES)]
    for each in asking:
        each.start()
    found = {ids.get(timeout=120) for _ in asking}
    for each in asking:
        each.join()
    assert len(found) == 1
    # The processes that asked are gone: what they asked for is not.
    ready = waited(pictures, found.pop())
    assert (ready.state, ready.name, ready.message) == (READY, "shapes", "")
    with make_reader(f"{ready.location}/train", batch_size=2, epochs=1) as reader:
        assert sum(len(batch["entity_id"]) for batch in reader) == 6
    done = [receipt for receipt in last(pictures.files, limit=50) if receipt.step in ("build", "materialise")]
    assert sorted(receipt.step for receipt in done) == ["build", "materialise"]
    assert prepare(pictures, parse_recipe(RECIPE, where="r")) == ready


def test_a_version_is_built_of_what_there_was_when_it_was_asked_for(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("lakehouse.preparing.prepare._start", lambda lake, dataset_id: None)
    asked = prepare(pictures, parse_recipe(RECIPE, where="r"))
    assert asked.state == RUNNING
    good_images(tmp_path / "more", 9, seed=5)
    lh.land(pictures, lh.Source(name="more", folder=str(tmp_path / "more")))
    lh.entities(pictures)
    build_prepared(pictures, asked.dataset_id)
    assert get(pictures, asked.dataset_id).state == READY
    assert lh.find_dataset(pictures, asked.dataset_id).members == 6


def test_a_build_that_fails_says_why_and_is_tried_again(pictures, monkeypatch):
    monkeypatch.setattr("lakehouse.preparing.prepare._start", lambda lake, dataset_id: None)
    nothing = {"sql": "select entity_id from entities where size_bytes < 0"}
    recipe = parse_recipe(RECIPE | {"select": nothing}, where="r")
    asked = prepare(pictures, recipe)
    build_prepared(pictures, asked.dataset_id)
    failed = get(pictures, asked.dataset_id)
    assert failed.state == FAILED
    assert "selects no entity" in failed.message
    # Whoever waited for the same lock does not fail once more.
    before = read_request(pictures, asked.dataset_id)
    build_prepared(pictures, asked.dataset_id)
    assert read_request(pictures, asked.dataset_id) == before
    assert prepare(pictures, recipe).state == RUNNING


def test_a_version_that_no_longer_follows_from_its_recipe_has_failed_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("lakehouse.preparing.prepare._start", lambda lake, dataset_id: None)
    clock = Clock()
    with small_lake(tmp_path / "lake", clock=clock) as lake:
        add_entities(lake, ["a", "b"])
        held = {"name": "held", "split": {"ratios": {"train": 1.0}}}
        lh.build(lake, parse_recipe(held, where="r"))
        recipe = parse_recipe(RECIPE | {"split": {"ratios": {"train": 1.0}, "fixed": {"test": "held"}}}, where="r")
        asked = prepare(lake, recipe)
        clock.forward(seconds=1)
        lh.build(lake, parse_recipe(held | {"seed": 2}, where="r"))
        build_prepared(lake, asked.dataset_id)
        failed = get(lake, asked.dataset_id)
        assert failed.state == FAILED
        assert "the recipe gives version" in failed.message
        assert prepare(lake, recipe).dataset_id != asked.dataset_id


def test_a_process_that_died_has_failed_once_it_holds_no_lock(tmp_path, capsys):
    clock = Clock()
    with small_lake(tmp_path / "lake", clock=clock) as lake:
        write_request(lake, "a" * 32, {"name": "n", "recipe": {}, "pins": {}, "asked_at": clock().isoformat()})
        assert get(lake, "a" * 32).state == RUNNING
        clock.forward(minutes=2)
        assert get(lake, "a" * 32).state == FAILED
        with lake_lock(lake, lock_of("a" * 32)):
            assert get(lake, "a" * 32).state == RUNNING
        with pytest.raises(RecipeError, match="nobody prepared"):
            get(lake, "b" * 32)
        at = ["--lake", str(lake.root)]
    assert main(["dataset", "get", "a" * 32, "--json", *at]) == 1
    assert "ended without a word" in json.loads(capsys.readouterr().out)["message"]
