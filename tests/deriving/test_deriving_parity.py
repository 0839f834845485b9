"""Transforms and embeddings on Spark: the rows, bytes and vectors of the embedded engine."""

from __future__ import annotations

import lakehouse as lh
from lakehouse.carrying.step import carry
from lakehouse.deriving.registry import transform_named
from lakehouse.deriving.step import derive
from lakehouse.deriving.transform import chain_of
from lakehouse.embedding.descriptor import DESCRIPTOR
from lakehouse.embedding.step import embed
from lakehouse.extractors.registry import extractors
from lakehouse.opinions.predictions import record_opinions
from lakehouse.query import fetch
from lakehouse.tables.read import digest_at, head
from schemas.tables import DERIVATIONS, DIMENSIONS, EMBEDDINGS, ENTITIES, OPINIONS, REJECTED
from tests.corpus import good_images
from tests.ingestion.files import put
from tests.media.videos import made


def test_both_engines_make_the_same(lake, spark_lake, tmp_path):
    good_images(tmp_path / "drop", 5)
    put(tmp_path / "drop", "film.mp4", made(frames=9))
    asked = chain_of(["resize:height=8,width=10", "tests.deriving.transforms:fails"], transform_named)
    for each in (lake, spark_lake):
        lh.land(each, lh.Source(name="things", folder=str(tmp_path / "drop")))
        lh.entities(each)
        counts = derive(each, asked).counts
        assert counts["made"] > 0 < counts["rejected"]
        for text in ("frames:every=4", "clips:length=3,stride=3,height=8,width=8"):  # stored nowhere
            assert derive(each, chain_of([text], transform_named)).counts["made"] == 3
        grey = derive(each, chain_of(["grey"], transform_named), where="operation = 'frame'")
        assert (grey.counts["parents"], grey.counts["rejected"]) == (3, 0)
        lh.dimensions(each, extractors=extractors(["array_values", "image_header"]))  # of clips and frames too
        embed(each, DESCRIPTOR)
        flip = chain_of(["flip"], transform_named)
        derive(each, flip)
        text = "select entity_id from silver.entities where parent_id is null order by entity_id"
        one, two, *_ = (row["entity_id"] for row in fetch(each, text))
        box = {"kind": "box", "label": "a", "x": 2.0, "y": 3.0, "w": 4.0, "h": 5.0}
        said = [{"entity_id": one, "regions": [box]}, {"entity_id": two, "regions": []}]
        for rows in (said, said[1:], [{"entity_id": one, "regions": []}]):
            record_opinions(each, rows, source="round", question="things", actor="human:ann")
            carry(each, flip.operation, flip.parameters_json)
    for table in (ENTITIES, DERIVATIONS, DIMENSIONS, EMBEDDINGS, REJECTED, OPINIONS):
        here, there = (digest_at(each, table, head(each.home, table)) for each in (lake, spark_lake))
        assert (table.name, here) == (table.name, there)
        assert here.rows > 0
