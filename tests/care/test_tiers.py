"""Tiers: a plan first, exactly that moved, under the same names, and the store was asked for what the policy says."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.cli import main as petrel
from lakehouse.care.tiers import Tier, apply_tiers, plan_tiers, tiers_from
from lakehouse.errors import ConfigError, DamagedObjectError, QueryRefusedError
from lakehouse.lake import Lake
from lakehouse.objects import read_bytes
from tests.buckets.lakes import use
from tests.making import Clock, add_entities, entity_id, small_lake

NAMES = [f"scan-{number}" for number in range(6)]
COLD = Tier("cold", "GLACIER_IR", "select entity_id from entities where origin = 'synthetic'")
WARM = Tier("warm", "STANDARD_IA", "select entity_id from entities")


@pytest.fixture
def address(shaky, tmp_path, monkeypatch) -> str:
    return use(shaky, tmp_path, monkeypatch)


def filled(lake: Lake) -> None:
    add_entities(lake, NAMES, origins=dict.fromkeys(NAMES[:2], "synthetic"))
    for name in NAMES:
        lake.files.put(place(name), name.encode())


def place(name: str) -> str:
    return f"objects/{entity_id(name)[:2]}/{entity_id(name)}"


def asked(proxy) -> dict[str, str]:
    """Entity -> storage class that was asked for last."""
    found = {each.key.rpartition("/")[2]: each.storage_class for each in proxy.asked("PUT") if each.storage_class}
    return {name: found[entity_id(name)] for name in NAMES if entity_id(name) in found}


def test_a_plan_says_what_moves_and_only_that_is_moved(address, proxy):
    with small_lake(address) as lake:
        filled(lake)
        planned = plan_tiers(lake, [COLD, WARM])
        assert planned.counts == {
            "objects": 6, "cold_objects": 2, "cold_bytes": 12, "warm_objects": 4, "warm_bytes": 24,
        }  # fmt: skip
        assert asked(proxy) == {}
        add_entities(lake, ["late"])
        lake.files.put(place("late"), b"late")
        done = apply_tiers(lake)
        assert (done.counts, done.bytes_written) == ({"moved": 6, "gone": 0}, 36)
        assert asked(proxy) == dict.fromkeys(NAMES[:2], "GLACIER_IR") | dict.fromkeys(NAMES[2:], "STANDARD_IA")
        assert [read_bytes(lake.home, place(name)) for name in NAMES] == [name.encode() for name in NAMES]
        again = plan_tiers(lake, [COLD, WARM]).counts
        assert (again["cold_objects"], again["warm_objects"]) == (0, 1)
        back = plan_tiers(lake, [Tier("hot", "STANDARD", COLD.sql)])
        assert back.counts["hot_objects"] == 2
    assert petrel(["fsck", "--lake", address, "--all"]) == 0


def test_a_damaged_object_stays_where_it_lies_and_the_next_run_goes_on(address, proxy):
    with small_lake(address) as lake:
        filled(lake)
        lake.files.put(place(NAMES[3]), b"other!")
        plan_tiers(lake, [WARM])
        with pytest.raises(DamagedObjectError, match=entity_id(NAMES[3])):
            apply_tiers(lake)
        assert NAMES[3] not in asked(proxy)
        lake.files.put(place(NAMES[3]), NAMES[3].encode())
        lake.files.delete(place(NAMES[4]))
        assert apply_tiers(lake).counts == {"moved": 5, "gone": 1}
        with pytest.raises(ConfigError, match="there is no plan to apply"):
            apply_tiers(lake)


def test_the_time_of_the_run_is_a_parameter_and_a_query_may_only_read(address):
    clock = Clock()
    with small_lake(address, clock=clock) as lake:
        filled(lake)
        old = Tier("cold", "GLACIER_IR", "select entity_id from entities where created_at < $now - interval 180 day")
        assert plan_tiers(lake, [old]).counts["cold_objects"] == 0
        clock.forward(days=181)
        assert plan_tiers(lake, [old]).counts["cold_objects"] == 6
        with pytest.raises(QueryRefusedError):
            plan_tiers(lake, [Tier("x", "STANDARD", "drop table entities")])
        with pytest.raises(ConfigError, match=r"tier x: its query has no column entity_id, but \['n'\]"):
            plan_tiers(lake, [Tier("x", "STANDARD", "select count(*) as n from entities")])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", r"expected tables \[\[tiers\]\]"),
        ("[[tiers]]\nname = 'x'\nsql = 'select 1'", "storage_class` is missing"),
        ("[[tiers]]\nname = 'x'\nstorage_class = 'GLACIER'\nsql = 'x'", "cannot be read without waking them"),
        ("[[tiers]]\nname = 'x'\nstorage_class = 'a b'\nsql = 'x'", "is no storage class"),
    ],
)
def test_a_policy_that_is_none_is_refused_by_name(text, expected, tmp_path):
    (tmp_path / "policy.toml").write_text(text)
    with pytest.raises(ConfigError, match=expected):
        tiers_from(tmp_path / "policy.toml")


def test_the_example_is_a_policy_and_a_folder_has_no_tiers(tmp_path, capsys):
    example = Path(__file__).parents[2] / "conf" / "tiers.toml"
    assert [each.name for each in tiers_from(example)] == ["hot", "cold", "warm"]
    with small_lake(tmp_path / "lake"):
        pass
    assert petrel(["tier", "--lake", str(tmp_path / "lake"), "--policy", str(example)]) == 1
    assert "a folder has no storage classes" in capsys.readouterr().err
    assert petrel(["tier", "--lake", str(tmp_path / "lake")]) == 1
    assert "give one of --policy FILE" in capsys.readouterr().err


def test_the_command_plans_and_applies(address, capsys):
    example = Path(__file__).parents[2] / "conf" / "tiers.toml"
    with small_lake(address) as lake:
        filled(lake)
    at = ["--lake", address, "--set", "engine.workers=1"]
    assert petrel(["tier", *at, "--policy", str(example)]) == 0
    assert "6 cold_objects" in capsys.readouterr().out
    assert petrel(["tier", *at, "--apply"]) == 0
    assert "6 moved" in capsys.readouterr().out
