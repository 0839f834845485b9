"""Exact quotas on real recordings: speaker by digit of the Free Spoken Digit Dataset."""

from __future__ import annotations

from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.datasets.versions.catalogue import dataset_record
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.opinions.step import OpinionSource, opinions


def test_every_speaker_and_digit_has_its_quota_or_stands_in_the_shortfall(lake, real_data):
    folder = real_data("fsdd")
    land(lake, Source(name="fsdd", folder=str(folder), include=("recordings/*",), sidecar="index.csv",
                      sidecar_key="file", group_keys={"speaker": "speaker"}))  # fmt: skip
    entities(lake)
    opinions(
        lake,
        OpinionSource(
            format="csv",
            path=str(folder / "index.csv"),
            source="fsdd",
            question="digit",
            actor="import:fsdd",
            options={"columns": {"subject": "file", "label": "digit"}},
        ),
    )

    def cells(**strata):
        made = parse_recipe(
            {"name": "fsdd", "question": "digit", "split": {"ratios": {"train": 0.7, "test": 0.3}, "group": "speaker"},
             "strata": {"by": ["key:speaker", "label"]} | strata}, where="fsdd.toml",
        )  # fmt: skip
        return dataset_record(lake, build(lake, made).details["dataset_id"])["strata"]

    exact = cells(quota=5)
    assert len(exact) == 60
    assert {(cell["wanted"], cell["taken"], cell["short"]) for cell in exact} == {(5, 5, 0)}
    for cell in cells(quota=60, on_short="take"):
        assert cell["taken"] == cell["available"] == 60 - cell["short"]
