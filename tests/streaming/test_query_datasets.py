"""`materialise --query`: the rows of a query become a dataset like every other one, and are read as they stream."""

from __future__ import annotations

import json

import pytest

import lakehouse as lh
from jobs.cli import main
from lakehouse.errors import QueryRefusedError, RecipeError
from lakehouse.materialise.querying import materialise_query, query_recipe
from loaders import ReadOptions, make_reader, read_manifest
from tests.conftest import small_lake
from tests.ingestion.files import png, put, source

QUERY = "select entity_id, petrel_bucket(entity_id, 'x') % 3 as score from entities where size_bytes > $least"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("querying")
    for number in range(12):
        put(folder / "drop", f"{number:03d}.png", png(number))
    with small_lake(folder / "lake") as lake:
        lh.land(lake, source(folder / "drop"))
        lh.entities(lake)
        yield lake


def _by_entity(batch):
    columns = (batch[name] for name in ("entity_id", "score", "image"))
    return {entity: (int(score), image.tobytes()) for entity, score, image in zip(*columns, strict=True)}


def test_its_rows_are_those_that_are_streamed_and_its_text_is_kept(shared, capsys):
    command = ["materialise", "--lake", str(shared.home), "--query", QUERY, "--param", "least=1", "--json"]
    assert main(command) == 0
    built, published = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (built["step"], published["step"], published["counts"]["rows"]) == ("build", "materialise", 12)
    split = shared.root / published["details"]["folder"] / "train"
    with make_reader(split, batch_size=12, options=ReadOptions(pool="inline")) as reader:
        batch = next(reader)
    found = _by_entity(batch)
    with shared.stream(QUERY, params={"least": 1}, batch_size=12) as stream:
        assert found == _by_entity(next(stream))
    manifest = read_manifest(split)
    select = manifest.lineage["recipe"]["select"]
    assert (select["sql"], select["params"]) == (QUERY, {"least": 1})
    row = lh.fetch(shared, "select name, pins_json, recipe_json from gold.datasets")[0]
    assert row["name"] == manifest.lineage["name"] == f"query-{row['name'][6:]}"
    assert "silver.entities" in row["pins_json"]
    assert main(command) == 0
    assert [json.loads(line)["bytes_written"] for line in capsys.readouterr().out.splitlines()] == [0, 0]


def test_a_limit_keeps_the_same_rows_each_time(shared):
    recipe = query_recipe(shared, "select entity_id, 1 as same from entities order by same limit 5", name="worst")
    assert recipe.select.sql.endswith("ORDER BY same, entity_id, same LIMIT 5")
    receipts = list(materialise_query(shared, "select entity_id from entities order by 1 limit 5", name="first"))
    assert receipts[1].counts["rows"] == 5


def test_slices_and_samples_are_queries_too(shared):
    sliced = "select entity_id, nd_mean(entity_id[0, :]) as top from entities limit 3"
    assert "nd_slice" in query_recipe(shared, sliced).select.sql
    drawn = "select entity_id, size_bytes from entities sample by size_bytes seed 1 limit 3"
    with shared.stream(drawn, batch_size=3) as stream:
        streamed = list(next(stream)["entity_id"])
    assert [row["entity_id"] for row in lh.fetch(shared, query_recipe(shared, drawn).select.sql)] == streamed


def test_what_is_no_dataset_is_refused(shared, capsys):
    with pytest.raises(QueryRefusedError):
        list(materialise_query(shared, "select * from read_csv('/etc/passwd')"))
    with pytest.raises(RecipeError, match="name"):
        list(materialise_query(shared, QUERY, params={"least": 1}, name="No Name"))
    assert main(["materialise", "--lake", str(shared.home), "--dataset", "first", "--name", "other"]) == 1
    assert "belong to --query" in capsys.readouterr().err
