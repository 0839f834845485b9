"""The views: what holds now, what held then, and what people say by label."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lakehouse.lake import Lake
from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.query import fetch, query
from lakehouse.views.opinions import VIEWS, current_opinions_sql
from schemas.opinions import OPINIONS
from tests.making import add_entities, add_opinions, entity_id, opinion
from tests.opinions.making import csv_source, jsonl_source

JAN, FEB, MAR, APR = (datetime(2025, month, 1, tzinfo=UTC) for month in (1, 2, 3, 4))


def labels(lake: Lake, **params: datetime) -> list[str]:
    text = current_opinions_sql(known_at="known_at" in params, valid_at="valid_at" in params)
    return sorted(row["label"] or row["op"] for row in fetch(lake, text, params=params))


def dated(path, rows: str):
    return csv_source(path, "subject,label,at\n" + rows, options={"columns": {"time": "at"}})


def test_two_clocks_answer_what_was_known_and_what_had_been_said(photos, tmp_path, clock):
    clock.now = FEB
    import_opinions(photos, dated(tmp_path / "a.csv", "1.jpg,cat,2025-01-15T00:00:00Z\n"))
    clock.now = APR
    # Said in March, and a late arrival that was said before everything else.
    import_opinions(
        photos, dated(tmp_path / "b.csv", "1.jpg,lynx,2025-03-15T00:00:00Z\n1.jpg,dog,2025-01-01T00:00:00Z\n")
    )
    assert labels(photos) == ["lynx"]
    assert labels(photos, known_at=JAN) == []
    assert labels(photos, known_at=FEB) == ["cat"]
    assert labels(photos, known_at=MAR) == ["cat"]
    assert labels(photos, valid_at=JAN) == ["dog"]
    assert labels(photos, valid_at=FEB) == ["cat"]
    assert labels(photos, valid_at=APR) == ["lynx"]
    assert labels(photos, known_at=MAR, valid_at=JAN) == []


def test_a_correction_is_unknown_before_it_arrived(photos, tmp_path, clock):
    clock.now = FEB
    import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\n1.jpg,cat\n"))
    clock.now = APR
    import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\n1.jpg,lynx\n"))
    assert labels(photos, known_at=MAR) == ["cat"]
    assert labels(photos, known_at=APR) == ["lynx"]


def test_a_retracted_answer_is_gone_and_the_one_before_it_holds_again(photos, tmp_path):
    import_opinions(
        photos, dated(tmp_path / "a.csv", "1.jpg,cat,2025-01-01T00:00:00Z\n1.jpg,lynx,2025-02-01T00:00:00Z\n")
    )
    target = fetch(photos, "select opinion_id from current_opinions")[0]["opinion_id"]
    line = f'{{"subject": "1.jpg", "op": "retract", "target_opinion_id": "{target}", "reason": "misread"}}\n'
    assert import_opinions(photos, jsonl_source(tmp_path / "r.jsonl", line, name="repair")).counts["new"] == 1
    assert labels(photos) == ["cat"]
    # The file comes again, longer: what was taken back does not come back with it.
    longer = "1.jpg,lynx,2025-02-01T00:00:00Z\n3.jpg,dog,2025-02-01T00:00:00Z\n"
    import_opinions(photos, dated(tmp_path / "b.csv", longer))
    assert labels(photos) == ["cat", "dog"]


def test_the_views_do_not_depend_on_the_order_of_arrival(photos):
    add_entities(photos, ["x"])
    add_opinions(photos, [opinion("x", "human:ann", label, event_time=JAN) for label in ("a", "b")])
    found = fetch(photos, "select opinion_id, label from current_opinions")
    assert len(found) == 1
    assert found[0]["opinion_id"] == max(row["opinion_id"] for row in fetch(photos, "select opinion_id from opinions"))


ABSURD = 2**63 - 1


def absurd(lake) -> None:
    """Rows that were there before imports refused them: x is a by two, y a and b alike, z a by three against b."""
    add_entities(lake, ["x", "y", "z"])
    said = [("x", "ann", "a"), ("x", "bo", "a"), ("y", "ann", "a"), ("y", "bo", "b"), ("z", "ann", "a"),
            ("z", "bo", "a"), ("z", "cy", "a"), ("z", "di", "b")]  # fmt: skip
    add_opinions(lake, [opinion(name, f"human:{who}", label, votes=ABSURD) for name, who, label in said])


def test_no_number_of_votes_makes_the_sums_of_the_views_fail(photos):
    absurd(photos)
    rows = fetch(photos, "select subject_id, label, votes, share, rank from labels order by subject_id, rank")
    found = [(row["subject_id"], row["label"], row["votes"], round(row["share"], 6)) for row in rows]
    assert sorted(found) == sorted([
        (entity_id("x"), "a", ABSURD, 1.0), (entity_id("y"), "a", ABSURD, 0.5), (entity_id("y"), "b", ABSURD, 0.5),
        (entity_id("z"), "a", ABSURD, 0.75), (entity_id("z"), "b", ABSURD, 0.25),
    ])  # fmt: skip
    assert {row["votes"] for row in fetch(photos, "select votes from opinion_votes")} == {ABSURD}


def test_people_outvote_imports_and_models_never_count(photos):
    add_entities(photos, ["x", "y", "z"])
    add_opinions(
        photos,
        [
            opinion("x", "human:ann", "cat"), opinion("x", "import:folders", "dog"), opinion("x", "model:m@1", "dog"),
            opinion("y", "import:folders", "dog"), opinion("y", "model:m@1", "cat"),
            opinion("z", "model:m@1", "cat"),
        ],
    )
    rows = fetch(photos, "select subject_id, label, votes, share, rank, tied_with from labels order by label")
    assert rows == [
        {"subject_id": entity_id("x"), "label": "cat", "votes": 1, "share": 1.0, "rank": 1, "tied_with": 0},
        {"subject_id": entity_id("y"), "label": "dog", "votes": 1, "share": 1.0, "rank": 1, "tied_with": 0},
    ]


def test_equal_votes_rank_by_label_and_say_that_they_are_tied(photos):
    add_entities(photos, ["x"])
    add_opinions(photos, [opinion("x", "human:ann", "dog"), opinion("x", "human:bo", "cat")])
    rows = fetch(photos, "select label, rank, tied_with, share from labels order by rank")
    assert rows == [
        {"label": "cat", "rank": 1, "tied_with": 1, "share": 0.5},
        {"label": "dog", "rank": 2, "tied_with": 1, "share": 0.5},
    ]


def test_votes_are_summed_by_label_and_kind_of_actor(photos):
    add_entities(photos, ["x"])
    add_opinions(
        photos,
        [
            opinion("x", "pool:crowd", "cat", votes=47, slot="cat"),
            opinion("x", "pool:crowd", "dog", votes=3, slot="dog"),
            opinion("x", "human:ann", "cat"),
        ],
    )
    rows = fetch(photos, "select actor_kind, label, votes, num_actors from opinion_votes order by actor_kind, label")
    assert [tuple(row.values()) for row in rows] == [
        ("human", "cat", 1, 1), ("pool", "cat", 47, 1), ("pool", "dog", 3, 1),
    ]
    assert [(row["label"], row["votes"]) for row in fetch(photos, "select label, votes from labels order by rank")] == [
        ("cat", 48), ("dog", 3),
    ]


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_says_what_a_row_is_and_runs_on_an_empty_lake(photos, name):
    assert VIEWS[name].doc.endswith(".")
    assert fetch(photos, f"select * from {name}") == []


def test_the_current_opinions_have_the_columns_of_the_table(photos):
    assert query(photos, "select * from current_opinions").columns == OPINIONS.column_names
