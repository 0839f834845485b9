"""A version as of a time knows nothing of what was said or learned later: as in a lake that never heard it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.query import fetch
from tests.lanes import examples
from tests.making import Clock, add_entities, add_opinions, opinion, small_lake

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ["a", "b", "c"]
SAID = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.sampled_from(["ada", "bob"]), st.sampled_from(["cat", "dog"]),
        st.integers(0, 6), st.integers(0, 6),
    ),
    min_size=1, max_size=12,
)  # fmt: skip
MEMBERS = """
select entity_id, split, label, label_share, label_votes from gold.dataset_members order by entity_id
"""


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def members(folder, said, as_of):
    """What is built in a lake that heard these answers, each learned on its day."""
    clock = Clock(START)
    with small_lake(folder, clock=clock) as lake:
        add_entities(lake, NAMES)
        for learned in sorted({each[4] for each in said}):
            clock.now = day(learned)
            rows = [opinion(name, f"human:{who}", label, event_time=day(when))
                    for name, who, label, when, known in said if known == learned]  # fmt: skip
            if rows:
                add_opinions(lake, rows)
        recipe = {"name": "d", "question": "animal", "label": {"ties": "lowest"}, "as_of": as_of}
        build(lake, parse_recipe(recipe, where="r"))
        return fetch(lake, MEMBERS)


@settings(max_examples=examples(3, long=200), suppress_health_check=[HealthCheck.too_slow])
@given(said=SAID, valid=st.none() | st.integers(0, 6), known=st.none() | st.integers(0, 6))
def test_what_came_later_changes_nothing(tmp_path_factory, said, valid, known):
    folder = tmp_path_factory.mktemp("time")
    heard = [each for each in said if (valid is None or each[3] <= valid) and (known is None or each[4] <= known)]
    as_of = {"valid_at": None if valid is None else day(valid), "known_at": None if known is None else day(known)}
    as_of = {name: when for name, when in as_of.items() if when is not None}
    if not heard:
        with pytest.raises(Exception, match="nobody|no entity becomes a member|no answer|never asked in this lake by"):
            members(folder / "all", said, as_of)
        return
    assert members(folder / "all", said, as_of) == members(folder / "heard", heard, {})
