"""Both engines believe the same, at every time."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lakehouse.config import load_config
from lakehouse.labels import changes
from lakehouse.labels.policy import Policy, Step
from lakehouse.labels.presets import PEOPLE, majority, soft, trust, union
from lakehouse.opening import open_lake
from lakehouse.query import fetch
from lakehouse.views.opinions import current_opinions_sql
from tests.labels.making import APR, FEB, JAN, MAR, rows_of
from tests.making import Clock, small_lake
from tests.opinions.conftest import SETTINGS

POLICIES = {
    "majority": majority(), "weighted": majority(weights={"human:bo": 1.5}, ties="latest"), "soft": soft(),
    "trust": trust("human:expert", "model:cnn@*"), "union": union(),
    "cascade": Policy((Step(kinds=("human",), quorum=3, min_share=0.6), Step(kinds=("model",), min_confidence=0.9),
                       Step(kinds=PEOPLE, ties="lowest"))),
}  # fmt: skip
TIMES = ({}, {"known_at": JAN}, {"known_at": FEB}, {"known_at": MAR, "valid_at": FEB}, {"valid_at": JAN})


def views(lake) -> dict[str, list[tuple[object, ...]]]:
    """The current view at every pair of times, and the views by label."""
    found = {}
    for known_at in (None, JAN, FEB, MAR, APR):
        for valid_at in (None, JAN, FEB):
            times = {name: at for name, at in (("known_at", known_at), ("valid_at", valid_at)) if at is not None}
            text = current_opinions_sql(known_at=known_at is not None, valid_at=valid_at is not None)
            found[str(times)] = fetch(lake, text, params=times)
    for name in ("current_opinions", "labels", "opinion_votes", "merged_labels", "label_names"):
        found[name] = fetch(lake, f"select * from {name}")
    return {name: sorted(map(_plain, rows)) for name, rows in found.items()}


def _plain(row: dict[str, object]) -> str:
    # The order in a map is none.
    return repr({name: sorted(map(tuple, value)) if name in ("label_votes", "export_ids") and value else value
                 for name, value in row.items()})  # fmt: skip


@pytest.mark.spark
def test_views_and_policies_give_equal_rows_in_both_engines_at_every_time(spark, history_lake: Path, tmp_path: Path):
    history_lake = Path(shutil.copytree(history_lake, tmp_path / "lake"))
    with small_lake(history_lake, *SETTINGS, clock=Clock()) as lake:
        changes.merge_label(lake, "animal", "lynx", "cat")
    seen, said = {}, {}
    for engine in ("embedded", "spark"):
        config = load_config(overrides=[f'lake.root="{history_lake}"', *SETTINGS], environ={})
        with open_lake(config, engine=engine, clock=Clock()) as lake:
            seen[engine] = views(lake)
            said[engine] = {
                (name, str(times)): sorted(map(_plain, rows_of(lake, policy, **times)))
                for name, policy in POLICIES.items() for times in TIMES
            }  # fmt: skip
    assert seen["spark"] == seen["embedded"]
    assert said["spark"] == said["embedded"]
    assert all(said["embedded"][name, "{}"] for name in POLICIES if name != "union")
