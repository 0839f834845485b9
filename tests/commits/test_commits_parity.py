"""A branch, its SQL, diff and merge come to the same on both engines."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from lakehouse.commits.branching import make_branch
from lakehouse.commits.making import commit
from lakehouse.commits.naming import newest_commit
from lakehouse.merging.comparing import compare
from lakehouse.merging.merge import merge
from lakehouse.merging.query import difference_query
from lakehouse.query import fetch
from lakehouse.tables.insert import insert_rows
from lakehouse.verification.places import line_home
from schemas.tables import OPINIONS
from tests.commits.histories import Histories
from tests.lanes import LANE
from tests.making import opinion, small_lake
from tests.parity.world import opened


def told(lake):
    """What both lines hold and differ in, before and after a merge that settles one conflict."""
    branch = lake.on(line_home(lake.home, make_branch(lake, "relabel").line))
    insert_rows(branch, OPINIONS, [opinion(name, "human:ann", "dog") for name in "bc"], step="say")
    insert_rows(lake, OPINIONS, [opinion("c", "human:ann", "cat")], step="say")
    commits = commit(branch, "theirs"), commit(lake, "ours")
    text = (
        "select (select count(*) from silver.opinions) as now, (select count(*) from silver.opinions@relabel a "
        "anti join silver.opinions@main b using (opinion_id)) as theirs"
    )
    difference = compare(lake, commits[1], commits[0])
    summary = difference.summary()
    query = difference_query(difference.ancestor, difference.one, difference.other, OPINIONS.name)
    rows = fetch(lake, f"select side, change, actor_id, label from ({query}) order by all")
    assert len(rows) == sum(each.added + each.removed for each in summary if each.table == OPINIONS.name)
    receipt = merge(lake, "relabel", policy="ours")
    tables = {name: each.digest for name, each in newest_commit(lake.home).tables.items()}
    return fetch(lake, text), [*summary, *rows], receipt.counts, tables


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_branches_come_to_the_same_on_both_engines(tmp_path):
    with small_lake(tmp_path / "embedded") as lake:
        insert_rows(lake, OPINIONS, [opinion("a", "human:ann", "cat")], step="say")
        commit(lake, "first")
    shutil.copytree(tmp_path / "embedded", tmp_path / "spark")
    found = {}
    for engine in ("embedded", "spark"):
        with opened(tmp_path / engine, engine) as lake:
            found[engine] = told(lake)
    assert found["spark"] == found["embedded"]
    rows, _, counts, _ = found["embedded"]
    assert (rows, counts["conflicts"]) == ([{"now": 3, "theirs": 1}], 1)


class OnSpark(Histories):
    """The same histories, of which Spark does the reading and writing."""

    engine = "spark"


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
@pytest.mark.skipif(LANE != "long", reason="histories by lot on Spark are part of the long lane")
def test_branches_have_what_a_model_of_sets_has_on_spark():
    run_state_machine_as_test(
        OnSpark,
        settings=settings(
            max_examples=10, stateful_step_count=6, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )  # fmt: skip
