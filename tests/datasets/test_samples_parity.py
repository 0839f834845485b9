"""Samples are the same on both engines: members, reasons and published content."""

from __future__ import annotations

import pytest

import lakehouse as lh
from lakehouse.datasets.recipes.recipe import parse_recipe
from tests.datasets.cells import CELLS, bring_cells, recipe, write_cells
from tests.making import add_dimension, add_entities, add_opinions, entity_id, opinion
from tests.parity.world import opened

REGIONS = recipe(
    samples={"of": "regions", "margin": 0.5, "square": True, "border": "pad", "min_side": 2},
    strata={"by": ["label"], "quota": 2, "on_short": "take"}, balance={"by": "label"},
    split={"ratios": {"train": 0.5, "test": 0.5}},
)  # fmt: skip

VARIED = recipe(name="varied", variants={"copies": 2, "mirror": True, "turns": [90], "crop": 0.5, "brightness": 0.2})


WINDOWS = parse_recipe(
    {
        "name": "talk", "question": "animal",
        "select": {"sql": "select entity_id from entities where media_type = 'text/plain'"},
        "samples": {"of": "windows", "series": "speaker", "order": "width", "length": 3, "stride": 2,
                    "incomplete": "pad", "max_gap": 2.0, "window_label": "majority"},
        "split": {"group": "speaker", "ratios": {"train": 0.5, "test": 0.5}},
    },
    where="talk.toml",
)  # fmt: skip
LEFT = """
select entity_id, reason, detail, parent_ids from gold.dataset_exclusions where dataset_id = $id order by entity_id
"""
NAMES = [f"{series}{number}" for series in ("ann", "ben") for number in range(7)]


def windows(lake):
    """Entities of two speakers, one of which has a gap: what their windows come to."""
    add_entities(lake, NAMES, groups={name: {"speaker": name[:3]} for name in NAMES})
    places = {name: 1 + int(name[3:]) + (9 if name > "ben3" else 0) for name in NAMES}
    add_dimension(lake, "width", places, kind="integer", extractor="image_header")
    add_opinions(lake, [opinion(name, "human:ann", "low" if int(name[3:]) < 3 else "high") for name in NAMES])
    for name in NAMES:
        path = lake.root / "objects" / entity_id(name)[:2] / entity_id(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    built = lh.build(lake, WINDOWS)
    return built.details, built.counts, lh.materialise(lake, "talk").counts


def outcome(root, engine):
    with opened(root / engine, engine) as lake:
        bring_cells(lake, root / "drop")
        lh.dimensions(lake)
        built = lh.build(lake, REGIONS)
        receipt = lh.materialise(lake, "cells")
        varied = lh.build(lake, VARIED)
        assert varied.counts["variants"] == 2 * (varied.counts["considered"] - varied.counts["excluded"])
        impact = lh.fetch(lake, "select count(*) as n from member_entities")
        content = lh.fetch(lake, "select content_digest from gold.materialisations")
        left = lh.fetch(lake, LEFT, params={"id": built.details["dataset_id"]})
        return built.details, built.counts, receipt.counts, impact, content, left, windows(lake), varied.details


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_both_engines_take_the_same_regions_and_windows_and_publish_the_same_rows(tmp_path):
    cells = CELLS | {"d": (("white", 15, 15, 20, 20), ("red", 1, 1, 20, 20))}
    write_cells(tmp_path / "drop", cells, unanswered=("e",))
    found = outcome(tmp_path, "embedded")
    assert outcome(tmp_path, "spark") == found
    assert found[1]["members"] == 3
    assert len(found[5]) == 5
    _, counts, published = found[6]
    # Each speaker's seven are in runs of 7, and of 4 and 3.
    assert (counts["members"], published["rows"]) == (6, 18)
