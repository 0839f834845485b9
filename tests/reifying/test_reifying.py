"""Reified objects: what is one thing, that ids stay, and what of it goes with an erasure."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.cli import main as petrel
from lakehouse.care.erase import erase
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.opinions.predictions import record_opinions
from lakehouse.query import fetch
from lakehouse.reifying.clusters import NOWHERE, clusters_of
from lakehouse.reifying.members import Member, assigned
from lakehouse.reifying.places import cell_of
from lakehouse.reifying.step import reify_clusters, reify_places, reify_tracks
from tests.making import add_dimension, add_entities, entity_id, small_lake

MEMBERS = "select object_id, part, frame_start, frame_end from object_members where role = 'track' order by part"


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    with small_lake(tmp_path / "lake") as opened:
        add_entities(opened, ["video", "other"], groups={"video": {"site": "north"}})
        yield opened


def walk(track: str, x: float, frames: range = range(4)) -> list[dict[str, Any]]:
    """A box of 10 px in each frame, moving to the right."""
    return [
        {"kind": "box", "label": "person", "x": x + frame, "y": 0.0, "w": 10.0, "h": 10.0, "track_id": track,
         "frame_start": frame, "frame_end": frame}
        for frame in frames
    ]  # fmt: skip


def say(lake: Lake, actor: str, *tracks: list[dict[str, Any]], video: str = "video") -> None:
    regions = [region for track in tracks for region in track]
    record_opinions(lake, [{"entity_id": entity_id(video), "regions": regions}], source=f"{actor} {len(regions)}",
                    question="people", actor=actor)  # fmt: skip


def objects(lake: Lake) -> dict[str, set[str]]:
    """Object -> actor and track of its members."""
    found: dict[str, set[str]] = {}
    for row in fetch(lake, MEMBERS):
        part = row["part"]
        found.setdefault(row["object_id"], set()).add(part.split('"')[3].partition(":")[2] + part.split('"')[-2])
    return found


def test_tracks_of_one_thing_are_one_object_that_keeps_its_id(lake: Lake) -> None:
    say(lake, "human:ada", walk("1", 0), walk("2", 100))
    first = reify_tracks(lake, "people")
    assert (first.counts["members"], first.counts["joined"], first.counts["new_objects"]) == (2, 2, 2)
    before = objects(lake)
    assert sorted(map(sorted, before.values())) == [["ada1"], ["ada2"]]
    row = fetch(lake, "select * from entities where operation = 'object' order by entity_id")[0]
    assert (row["storage"], row["object_uri"], row["parent_id"]) == ("none", None, entity_id("video"))
    assert dict(row["group_keys"]) == {"site": "north"}

    say(lake, "human:bob", walk("a", 101), walk("b", 1), walk("c", 300))
    say(lake, "human:ada", walk("1", 0, range(6)), walk("2", 100))  # a correction: the same tracks, another opinion
    again = reify_tracks(lake, "people")
    assert again.counts | {"objects": 3, "new_objects": 1, "left": 0, "superseded": 0} == again.counts
    now = objects(lake)
    assert before.keys() < now.keys()
    assert sorted(map(sorted, now.values())) == [["ada1", "bobb"], ["ada2", "boba"], ["bobc"]]
    assert {row["frame_end"] for row in fetch(lake, MEMBERS)} == {3, 5}
    assert reify_tracks(lake, "people").rows_new == 0


def test_of_two_objects_that_are_one_the_older_id_survives_and_the_other_says_so(lake: Lake) -> None:
    say(lake, "human:ada", walk("1", 0))
    reify_tracks(lake, "people")
    (old,) = objects(lake)
    say(lake, "human:bob", walk("b", 200))
    reify_tracks(lake, "people")
    (young,) = objects(lake).keys() - {old}

    say(lake, "human:bob", walk("b", 1))  # it was the same person
    receipt = reify_tracks(lake, "people")
    assert objects(lake) == {old: {"ada1", "bobb"}}
    assert [note.example for note in receipt.notes] == [f"object {young} is {old} now"]
    told = "select object_id, superseded_by from silver.object_members where op = 'leaves'"
    assert fetch(lake, told) == [{"object_id": young, "superseded_by": old}]

    say(lake, "human:bob", walk("b", 200))  # and then it was not
    reify_tracks(lake, "people")
    assert objects(lake) == {old: {"ada1"}, young: {"bobb"}}


def test_what_one_person_told_apart_stays_apart(lake: Lake) -> None:
    say(lake, "human:ada", walk("1", 0), walk("2", 2))
    say(lake, "human:bob", walk("b", 1))
    reify_tracks(lake, "people", min_iou=0.3)
    assert sorted(map(len, objects(lake).values())) == [1, 2]


def test_a_video_whose_tracks_contradict_themselves_is_rejected_and_keeps_what_it_had(lake: Lake) -> None:
    say(lake, "human:ada", walk("1", 0))
    say(lake, "human:ada", walk("1", 0), video="other")
    reify_tracks(lake, "people")
    before = objects(lake)
    say(lake, "human:ada", walk("1", 0), walk("1", 5))  # twice in one frame
    receipt = reify_tracks(lake, "people")
    assert receipt.counts | {"rejected": 1, "left": 0, "members": 1} == receipt.counts
    assert objects(lake) == before
    assert fetch(lake, "select subject, rule from silver.rejected") == [
        {"subject": entity_id("video"), "rule": "bad_track"}
    ]


def test_what_may_not_be_asked(lake: Lake) -> None:
    with pytest.raises(ConfigError, match="no question `people`"):
        reify_tracks(lake, "people")
    say(lake, "human:ada", walk("1", 0))
    with pytest.raises(ConfigError, match="no tracks of human:ad.*human:ada"):
        reify_tracks(lake, "people", actors=["human:ad"])
    with pytest.raises(ConfigError, match="expected the columns entity_id, latitude, longitude"):
        reify_places(lake, "select entity_id from entities", cell_m=50)
    with pytest.raises(ConfigError, match="two positions of"):
        reify_places(lake, "select entity_id, 1 as latitude, 2 as longitude from entities, (select unnest([1, 2]))",
                     cell_m=50)  # fmt: skip
    with pytest.raises(ConfigError, match="no entity x"):
        reify_places(lake, "select 'x' as entity_id, 1 as latitude, 2 as longitude", cell_m=50)
    with pytest.raises(ConfigError, match="no entity x"):  # and not the first of its cell
        reify_places(lake, "select entity_id, 1 as latitude, 2 as longitude from entities union all select 'x', 1, 2",
                     cell_m=50)  # fmt: skip
    with pytest.raises(ConfigError, match="entity_id is None"):
        reify_places(lake, "select cast(null as varchar) as entity_id, 1 as latitude, 2 as longitude", cell_m=50)


WHERE = """
select e.entity_id, max(case when d.dimension = 'latitude' then d.number end) as latitude,
    max(case when d.dimension = 'longitude' then d.number end) as longitude
from entities e join current_dimensions d on d.entity_id = e.entity_id group by e.entity_id
"""
SPOTS = {"gate": (48.137, 11.575), "gate again": (48.1371, 11.5751), "lake": (47.6, 9.4), "nowhere": (95.0, 0.0),
         "bridge": (48.138, 11.575), "between": (48.1375, 11.575)}  # fmt: skip


def spotted(lake: Lake, names: list[str]) -> None:
    add_entities(lake, names)
    add_dimension(lake, "latitude", {name: SPOTS[name][0] for name in names}, extractor="gps")
    add_dimension(lake, "longitude", {name: SPOTS[name][1] for name in names}, extractor="gps")


def places(lake: Lake) -> dict[str, set[str]]:
    names = {entity_id(name): name for name in SPOTS}
    found: dict[str, set[str]] = {}
    for row in fetch(lake, "select object_id, member_id from object_members where role = 'position'"):
        found.setdefault(row["object_id"], set()).add(names[row["member_id"]])
    return found


def test_places_are_the_same_in_whatever_order_positions_come(tmp_path: Path) -> None:
    seen = []
    few = ["gate", "gate again", "lake", "nowhere"]
    for number, order in enumerate((few, few[::-1])):
        with small_lake(tmp_path / f"lake {number}") as lake:
            for name in order:
                spotted(lake, [name])
                receipt = reify_places(lake, WHERE, cell_m=500)
            assert receipt.counts["rejected"] == 1
            seen.append(places(lake))
    assert seen[0] == seen[1]
    assert sorted(map(sorted, seen[0].values())) == [["gate", "gate again"], ["lake"]]


def test_an_erasure_takes_members_and_objects_and_leaves_places_that_others_are_at(tmp_path: Path) -> None:
    with small_lake(tmp_path / "lake") as lake:
        spotted(lake, ["gate", "gate again", "lake"])
        add_entities(lake, ["video"])
        say(lake, "human:ada", walk("1", 0))
        reify_tracks(lake, "people")
        reify_places(lake, WHERE, cell_m=500)
        before = places(lake)
        (gate,) = (place for place, names in before.items() if len(names) == 2)
        named = fetch(lake, "select parent_id from entities where entity_id = $id", params={"id": gate})[0]["parent_id"]
        erase(lake, entities=[named, entity_id("video")], reason="asked to")
        assert objects(lake) == {}
        assert fetch(lake, "select entity_id from entities where operation = 'object'") == []
        assert not fetch(lake, "select 1 as x from entities where parent_id = $id", params={"id": named})

        reify_places(lake, WHERE, cell_m=500)
        assert {place: len(names) for place, names in places(lake).items()} == dict.fromkeys(before, 1)
        assert len(fetch(lake, "select 1 as x from entities where entity_id = $id", params={"id": gate})) == 1


def test_clusters_grow_together_and_part_again_and_keep_their_ids(tmp_path: Path) -> None:
    with small_lake(tmp_path / "lake") as lake:
        spotted(lake, ["gate", "gate again", "nowhere"])
        spotted(lake, ["bridge", "lake"])
        receipt = reify_clusters(lake, WHERE, within_m=80)
        assert (receipt.counts["objects"], receipt.counts["rejected"]) == (3, 1)
        apart = places(lake)
        assert sorted(map(sorted, apart.values())) == [["bridge"], ["gate", "gate again"], ["lake"]]
        (gate,) = (place for place, names in apart.items() if "gate" in names)
        assert reify_clusters(lake, WHERE, within_m=80).rows_new == 0

        spotted(lake, ["between"])  # 56 m from either
        reify_clusters(lake, WHERE, within_m=80)
        assert places(lake)[gate] == {"gate", "gate again", "between", "bridge"}
        without = WHERE.replace("group by", f"where e.entity_id <> '{entity_id('between')}' group by")
        reify_clusters(lake, without, within_m=80)
        assert places(lake) == apart

        alone = reify_clusters(lake, without, within_m=80, least=2)  # stands beside
        assert (alone.counts["objects"], alone.counts["alone"]) == (1, 2)
        named = fetch(lake, "select parent_id from entities where entity_id = $id", params={"id": gate})[0]["parent_id"]
        erase(lake, entities=[named], reason="asked to")
        reify_clusters(lake, without, within_m=80)
        assert len(places(lake)[gate]) == 1
        (row,) = fetch(lake, "select * from entities where entity_id = $id", params={"id": gate})
        assert row["parent_id"] in {entity_id("gate"), entity_id("gate again")} - {named}


@given(st.data())
def test_clusters_are_those_of_comparing_all_with_all(data: st.DataObject) -> None:
    steps = st.integers(-6, 6)
    pole = data.draw(st.sampled_from([0.0, 89.999]))
    points = data.draw(st.lists(st.tuples(steps, steps), max_size=14))
    # Steps of 11 m, across the date line too.
    degrees = np.array([(pole + x * 1e-4, ((179.9999 + y * 1e-4) + 180) % 360 - 180) for x, y in points]).reshape(-1, 2)
    degrees[:, 0] = degrees[:, 0].clip(-90, 90)
    least = data.draw(st.integers(1, 4))
    found = clusters_of(degrees, within_m=23.0, least=least)
    radians = np.radians(degrees)
    latitudes, longitudes = radians.T
    half = (np.sin((latitudes[:, None] - latitudes) / 2) ** 2
            + np.cos(latitudes[:, None]) * np.cos(latitudes) * np.sin((longitudes[:, None] - longitudes) / 2) ** 2)
    near = 2 * 6_378_137 * np.arcsin(np.sqrt(half)) <= 23.0
    core = near.sum(axis=1) >= least
    joined = near & core & core[:, None]
    for _ in range(len(points)):  # transitive closure
        joined |= (joined[:, :, None] & joined[None]).any(axis=1)
    for place in range(len(points)):
        if core[place]:
            assert found[place] == np.flatnonzero(joined[place])[0]
        elif (near[place] & core).any():
            assert found[place] in found[near[place] & core]
        else:
            assert found[place] == NOWHERE


def test_cells_close_at_the_date_line_and_at_the_poles() -> None:
    assert cell_of(10.0, 180.0, 1000) == cell_of(10.0, -180.0, 1000)
    assert {cell_of(90.0, longitude, 1_000_000) for longitude in (-180, -1, 90)} == {cell_of(90.0, 0.0, 1_000_000)}
    rows = {cell_of(latitude, 0.0, 1000)[0] for latitude in (0.0, 0.0089)}
    assert len(rows) <= 2
    with pytest.raises(ValueError, match="no position"):
        cell_of(float("nan"), 0.0, 10)


@given(st.data())
def test_ids_do_not_hang_on_the_order_of_groups(data: st.DataObject) -> None:
    keys = list(range(8))
    owners = data.draw(st.lists(st.integers(0, 3), min_size=8, max_size=8))
    held = {(f"m{key}", ""): f"o{data.draw(st.integers(0, 2))}" for key in data.draw(st.sets(st.sampled_from(keys)))}
    groups = [[Member(key % 3, f"m{key}") for key in keys if owners[key] == owner] for owner in range(4)]
    mixed = [random.Random(1).sample(group, len(group)) for group in reversed(groups)]
    one, other = (
        assigned(each, held, {"o1": 1}, lambda member, times: f"new {member.member_id} {times}")
        for each in (groups, mixed)
    )
    assert one == other
    kept = sorted(each for group in one.objects.values() for each in group)
    assert kept == sorted(each for group in groups for each in group)
    gone = set(held.values()) - one.objects.keys()
    assert one.superseded.keys() == gone


def test_the_command(lake: Lake, capsys: Any) -> None:
    say(lake, "human:ada", walk("1", 0))
    lake.close()
    assert petrel(["reify", "tracks", "--lake", str(lake.root), "--question", "people"]) == 0
    assert "1 objects" in capsys.readouterr().out
    asked = ["reify", "places", "--lake", str(lake.root), "--sql", "select entity_id, 1 as latitude, 2 as longitude "
             "from entities where operation is null"]  # fmt: skip
    assert petrel([*asked, "--within-m", "30", "--least", "2"]) == 0
    assert "1 objects" in capsys.readouterr().out
    assert petrel(asked) == petrel([*asked, "--cell-m", "5", "--within-m", "5"]) == 1
    assert "one of --cell-m (cells of a grid) and --within-m" in capsys.readouterr().err
