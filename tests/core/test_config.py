"""Settings: where they come from, what wins, and what a mistake in one is answered with."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from lakehouse.config import Config, StoreConfig, load_config
from lakehouse.errors import ConfigError
from lakehouse.names import nearest
from lakehouse.typed import read_toml

REPOSITORY = Path(__file__).resolve().parents[2]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_anything_the_defaults_hold():
    assert load_config(environ={}) == Config()


def test_base_toml_writes_out_the_defaults():
    assert read_toml(REPOSITORY / "conf" / "base.toml") == dataclasses.asdict(Config())
    assert load_config(REPOSITORY / "conf" / "base.toml", environ={}) == Config()


@pytest.mark.parametrize("name", ["local.example.toml", "cluster.toml"])
def test_the_other_configurations_are_valid(name):
    load_config(REPOSITORY / "conf" / name, environ={})


def test_override_beats_environment_beats_file_beats_default(tmp_path):
    path = written(tmp_path, "[engine]\nworkers = 1\nmemory_limit_mb = 1\ncommit_attempts = 1\n")
    environ = {"PETREL__ENGINE__WORKERS": "2", "PETREL__ENGINE__MEMORY_LIMIT_MB": "2", "HOME": "/home/ada"}
    engine = load_config(path, overrides=["engine.workers=3"], environ=environ).engine
    assert (engine.workers, engine.memory_limit_mb, engine.commit_attempts, engine.lock_timeout_s) == (3, 2, 1, 600.0)


def test_the_last_of_two_equal_overrides_wins():
    assert load_config(overrides=["engine.workers=3", "engine.workers=4"], environ={}).engine.workers == 4


def test_zero_overrides_too():
    environ = {"PETREL__ENGINE__WORKERS": "5"}
    assert load_config(overrides=["engine.workers=0"], environ=environ).engine.workers == 0


def test_a_whole_number_is_a_valid_fraction_and_not_the_other_way_round():
    assert load_config(overrides=["engine.lock_timeout_s=5"], environ={}).engine.lock_timeout_s == 5.0
    with pytest.raises(ConfigError, match=r"engine\.workers: expected int, found float 1\.0"):
        load_config(overrides=["engine.workers=1.0"], environ={})


@pytest.mark.parametrize("folder", ["/data/my lake", "ä/湖", "42 things", "a=b", "", "C:\\x"])
def test_what_is_not_toml_is_text(folder):
    assert load_config(overrides=[f"lake.root={folder}"], environ={}).lake.root == folder


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[engin]\nworkers = 1", ["mine.toml", "[engin]", "`engine`"]),
        ("[engine]\nworker = 1", ["mine.toml", "engine.worker", "`workers`"]),
        ("[engine]\nworkers = '1'", ["mine.toml", "engine.workers", "expected int", "str '1'"]),
        ("[engine]\nworkers = true", ["mine.toml", "engine.workers", "expected int", "bool True"]),
        ("engine = 3", ["mine.toml", "[engine]", "found 3"]),
        ("[engine\n", ["mine.toml", "not a TOML file", "line 1"]),
    ],
)
def test_a_mistake_in_a_file_names_file_key_and_nearest(tmp_path, text, parts):
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, text), environ={})
    assert [part for part in parts if part not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("engine.workers", ["--set engine.workers", "section.key=value"]),
        ("workers=3", ["--set workers=3", "section.key=value"]),
        ("=3", ["section.key=value"]),
        ("engine.=3", ["section.key=value"]),
        ("engine.wrkers=3", ["engine.wrkers", "`workers`"]),
        ("images.zzz=3", ["images.zzz", "known: max_bytes, max_frames, max_pixels"]),
    ],
)
def test_a_mistake_in_an_override_says_what_was_expected(override, parts):
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=[override], environ={})
    assert [part for part in parts if part not in str(caught.value)] == []


def test_a_mistake_in_the_environment_names_it():
    with pytest.raises(ConfigError, match=r"environment: unknown key engine\.wrokers; did you mean `workers`"):
        load_config(environ={"PETREL__ENGINE__WROKERS": "1"})
    with pytest.raises(ConfigError, match="environment: unknown section"):
        load_config(environ={"PETREL__ENGIN__WORKERS": "1"})


@pytest.mark.parametrize(("name", "meant"), [
    ("PETREL_ENGINE__WORKERS", "PETREL__ENGINE__WORKERS"), ("PETREL_ENGINE_WORKERS", "PETREL__ENGINE__WORKERS"),
    ("PETREL__ENGINE_WORKERS", "PETREL__ENGINE__WORKERS"), ("petrel__lake__root", "PETREL__LAKE__ROOT"),
    ("PETREL_LAND_MAX_FILE_BYTES", "PETREL__LAND__MAX_FILE_BYTES"), ("PETREL__ENGINE", "PETREL__SECTION__KEY"),
    ("PETREL_IMAGES__PIXELS", "PETREL__SECTION__KEY"),
])
def test_a_variable_that_was_meant_as_a_setting_and_is_none_is_an_error(name, meant):
    with pytest.raises(ConfigError, match=f"environment: {name} sets nothing; write {meant}"):
        load_config(environ={name: "1"})


def test_variables_of_other_parts_are_no_settings():
    environ = {"PETREL_LAKE": "x", "PETREL_TEST_DATA": "x", "PETREL_IVY_SETTINGS": "x", "PETRELS_ENGINE_WORKERS": "x"}
    assert load_config(environ=environ) == Config()


@pytest.mark.parametrize(
    "setting",
    ["land.files_per_commit=0", "land.max_file_bytes=-1", "images.max_pixels=0", "images.max_frames=0",
     "images.max_bytes=0", "engine.commit_attempts=0", "engine.lock_timeout_s=0", "engine.lock_timeout_s=nan",
     "engine.workers=-1", "engine.memory_limit_mb=-1", "opinions.max_rejected_share=1.01",
     "opinions.max_rejected_share=-0.1", "opinions.max_rejected_share=nan"],
)
def test_a_value_out_of_range_is_refused_by_name(setting):
    with pytest.raises(ConfigError, match=setting.partition("=")[0]):
        load_config(overrides=[setting], environ={})


def test_stores_are_tables_that_every_layer_adds_to(tmp_path):
    path = written(tmp_path, '[stores.far]\nurl = "s3://far"\nregion = "eu-west-1"\n[stores.near]\nurl = "s3://near"\n')
    environ = {"PETREL__STORES__FAR__ENDPOINT": "http://localhost:1"}
    config = load_config(path, overrides=["stores.far.lease_s=5", 'stores.new.url="gs://new"'], environ=environ)
    far = StoreConfig("s3://far", endpoint="http://localhost:1", region="eu-west-1", lease_s=5.0)
    assert config.stores == {"far": far, "near": StoreConfig("s3://near"), "new": StoreConfig("gs://new")}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("stores.far.urll=s3://x", r"\[stores.far\]: unknown key `urll`; did you mean `url`"),
        ("stores.far.region=x", r"\[stores.far\]: key `url` is missing"),
        ("stores.far=7", r"\[stores\]: expected tables \[stores.NAME\] with a url each"),
        ("stores.far.secret_key=7", r"unknown key `secret_key`"),
    ],
)
def test_a_wrong_store_is_refused_by_name(setting, message):
    with pytest.raises(ConfigError, match=message):
        load_config(overrides=[setting], environ={})


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml: no such file"):
        load_config(tmp_path / "nowhere.toml", environ={})


def test_a_folder_or_bytes_in_place_of_a_file_are_an_error_of_ours(tmp_path):
    with pytest.raises(ConfigError, match=str(tmp_path)):
        load_config(tmp_path, environ={})
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"bytes\.toml: not a TOML file"):
        load_config(tmp_path / "bytes.toml", environ={})


def test_the_resolved_configuration_is_one_line_of_sorted_json():
    text = load_config(overrides=["lake.root=ä"], environ={}).to_json()
    record = json.loads(text)
    assert "\n" not in text
    assert record["lake"] == {
        "author": "", "branch": "main", "commit_steps": True, "copies": "", "root": "ä"
    }  # fmt: skip
    assert list(record) == sorted(record)


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_config(environ={}).engine.workers = 3


def test_the_nearest_name_or_all_names_are_offered():
    assert nearest("eror", ["error", "warning"]) == "; did you mean `error`?"
    assert nearest("zzz", ["b", "a"]) == "; known: a, b"
