"""The `petrel` command: help that teaches, errors in one line, exit codes."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.cli import COMMANDS, VERBS, command_of, main, module_of

ROOT = Path(__file__).parents[2]


def test_help_lists_every_command_and_each_has_help_of_its_own(capsys):
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    for name, line in COMMANDS.items():
        assert f"{name} " in overview
        assert line in overview
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0
        assert f"petrel {name}" in capsys.readouterr().out


def test_help_tells_the_exit_codes_and_what_json_is(capsys):
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert "exit code: 0 done, 1 an error" in told
    assert "3 a gate" in " ".join(told.split())
    assert "Errors stay one line on stderr" in told


def test_every_command_takes_json(capsys):
    for name in COMMANDS:
        with pytest.raises(SystemExit):
            main([name, "--help"])
        assert "--json " in capsys.readouterr().out


def test_every_command_is_a_job_of_the_same_name():
    for name in COMMANDS:
        assert callable(module_of(name).main)


def test_help_of_a_command_of_two_words_lists_its_verbs_and_each_has_help_of_its_own(capsys):
    for name, verbs in VERBS.items():
        with pytest.raises(SystemExit):
            main([name, "--help"])
        listed = capsys.readouterr().out
        for verb, (_, line) in verbs.items():
            assert f"{verb} " in listed
            assert line in listed
            for arguments in ([name, verb, "--help"], ["help", name, verb]):
                with pytest.raises(SystemExit) as ended:
                    main(arguments)
                assert ended.value.code == 0
                assert f"usage: petrel {name} {verb} " in capsys.readouterr().out


def test_opinions_without_a_verb_are_imported_and_retract_is_the_same_command_under_two_names():
    assert command_of("opinions") is command_of("opinions import") is module_of("opinions")
    assert command_of("opinions retract") is command_of("retract")


def test_an_unknown_verb_names_the_nearest(capsys):
    assert main(["opinions", "imprt", "--path", "x.csv"]) == 2
    assert "opinions has no verb `imprt`; did you mean `import`?" in capsys.readouterr().err


def test_no_command_is_wrong_usage(capsys):
    assert main([]) == 2
    assert "petrel land" in capsys.readouterr().out


def test_an_unknown_command_names_the_nearest(capsys):
    assert main(["entitees"]) == 2
    assert "did you mean `entities`?" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "meant"), [
    (["land", "--foldr", "x"], "--folder"), (["status", "--as-json"], "--json"), (["evaluate", "--gats=x"], "--gate"),
])
def test_an_unknown_option_names_the_nearest(arguments, meant, capsys):
    required = {"evaluate": ["--dataset", "d", "--actor", "a", "--question", "q"]}
    with pytest.raises(SystemExit) as ended:
        main(arguments + required.get(arguments[0], []))
    assert ended.value.code == 2
    assert f"did you mean `{meant}`?" in capsys.readouterr().err


def test_help_may_come_before_the_command(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["help", "land"])
    assert ended.value.code == 0
    assert "--follow-links" in capsys.readouterr().out


def test_an_error_is_one_line_that_names_file_key_and_nearest_key(tmp_path, capsys):
    config = tmp_path / "mine.toml"
    config.write_text("[engine]\nwrokers = 3\n")
    assert main(["entities", "--lake", str(tmp_path / "lake"), "--config", str(config)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "mine.toml" in error
    assert "engine.wrokers" in error
    assert "did you mean `workers`?" in error


def test_a_missing_folder_is_an_error_and_not_an_empty_drop(tmp_path, capsys):
    arguments = ["land", "--lake", str(tmp_path / "lake"), "--source", "x", "--folder", str(tmp_path / "absent")]
    assert main(arguments) == 1
    assert "absent" in capsys.readouterr().err


def test_a_lake_on_object_storage_is_refused_by_name(capsys):
    assert main(["entities", "--lake", "s3://bucket/lake"]) == 1
    assert "s3://bucket/lake" in capsys.readouterr().err


def test_a_lake_folder_that_looks_like_a_number_stays_a_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--lake", "42"]) == 0
    assert main(["entities", "--lake", "42"]) == 0
    assert (tmp_path / "42" / "tables" / "silver" / "entities" / "_delta_log").is_dir()


def test_receipts_as_json_are_one_object_a_line(tmp_path, capsys):
    assert main(["init", "--lake", str(tmp_path / "lake"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["made"]
    assert main(["entities", "--lake", str(tmp_path / "lake"), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["counts"] == {"seen": 0, "stored": 0, "duplicate": 0, "rejected": 0}


def test_evaluate_of_an_unknown_dataset_says_how_to_make_one(tmp_path, capsys):
    assert main(["init", "--lake", str(tmp_path / "lake")]) == 0
    arguments = ["evaluate", "--lake", str(tmp_path / "lake"), "--dataset", "nope", "--actor", "model:a@1"]
    assert main([*arguments, "--question", "q"]) == 1
    assert "petrel build" in capsys.readouterr().err


def test_a_wrong_gate_is_told_with_its_form(lake_folder, capsys):
    arguments = ["evaluate", "--lake", str(lake_folder), "--dataset", "shapes", "--actor", "model:a@1"]
    assert main([*arguments, "--question", "shape", "--gate", "accuracy=0.9"]) == 1
    assert "METRIC>=VALUE" in capsys.readouterr().err


def test_a_gate_that_cannot_be_is_refused_before_the_lake_is_opened(tmp_path, capsys):
    arguments = ["evaluate", "--lake", str(tmp_path / "no"), "--dataset", "d", "--actor", "a", "--question", "q"]
    assert main([*arguments, "--gate", "acuracy>=0.9"]) == 1
    assert "did you mean `accuracy`?" in capsys.readouterr().err


def test_a_failed_gate_has_an_exit_code_of_its_own(lake_folder, capsys):
    arguments = ["evaluate", "--lake", str(lake_folder), "--dataset", "shapes", "--actor", "import:folders@1"]
    assert main([*arguments, "--question", "shape", "--gate", "accuracy<=0.5", "--min-support", "1"]) == 3
    assert "verdict fail" in capsys.readouterr().out


def test_a_misspelt_actor_is_an_error_and_not_a_bad_model(lake_folder, capsys):
    arguments = ["evaluate", "--lake", str(lake_folder), "--dataset", "shapes", "--actor", "import:folder@1"]
    assert main([*arguments, "--question", "shape"]) == 1
    assert "did you mean `import:folders@1`?" in capsys.readouterr().err


def test_asking_for_help_loads_no_engine():
    code = (
        "import sys; from jobs.cli import main; main(['--help']); "
        "print(sorted({'duckdb', 'deltalake', 'pyspark', 'torch', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_empty_lake_option_is_refused_and_is_not_the_default_lake(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["entities", "--lake", ""]) == 1
    assert "lake.root = ''" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_in_one_line(tmp_path, monkeypatch, capsys):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "x"))

    assert main(["init", "--lake", str(tmp_path / "lake")]) == 0
    monkeypatch.setattr("lakehouse.ingestion.entities.entities", full)
    assert main(["entities", "--lake", str(tmp_path / "lake")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "No space left on device" in error
    assert str(tmp_path / "x") in error


def test_only_init_land_and_run_make_a_lake(tmp_path, capsys):
    dataset, question = ["--dataset", "d"], ["--question", "q"]
    others = {"entities": [], "dimensions": [], "opinions": ["--resolve"], "build": ["--recipe", "r.toml"],
              "materialise": dataset, "evaluate": [*dataset, *question, "--actor", "model:a@1"], "status": [],
              "export": [*dataset, "--format", "manifest", "--to", str(tmp_path / "out")],
              "sql": ["select count(*) as n from entities"]}
    for name, arguments in others.items():
        assert main([name, "--lake", str(tmp_path / "lake"), *arguments]) == 1, name
        error = capsys.readouterr().err
        assert "TableNotFoundError: no lake at" in error, name
        assert "petrel init" in error, name
        assert error.count("\n") == 1, name
    assert list(tmp_path.iterdir()) == []


def test_a_new_lake_is_said_and_so_is_one_of_a_similar_name(tmp_path, capsys):
    (tmp_path / "drop").mkdir()
    land = ["land", "--source", "photos", "--folder", str(tmp_path / "drop"), "--lake"]
    assert main(["init", "--lake", str(tmp_path / "birds")]) == 0
    assert "petrel land" in capsys.readouterr().out
    assert main(["init", "--lake", str(tmp_path / "birds")]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert main([*land, str(tmp_path / "brids")]) == 0
    assert f"made a new lake at {tmp_path / 'brids'}; did you mean the lake" in capsys.readouterr().err
    assert main([*land, str(tmp_path / "brids")]) == 0
    assert "made a new lake" not in capsys.readouterr().err


def test_a_new_lake_of_a_short_name_beside_another_is_no_slip(tmp_path, capsys):
    (tmp_path / "drop").mkdir()
    assert main(["init", "--lake", str(tmp_path / "L1")]) == 0
    land = ["land", "--source", "photos", "--folder", str(tmp_path / "drop"), "--lake"]
    assert main([*land, str(tmp_path / "L2")]) == 0
    assert "did you mean" not in capsys.readouterr().err


def test_no_lake_is_made_for_a_folder_that_is_missing(tmp_path, pipeline, capsys):
    shutil.rmtree(tmp_path / "shapes")
    assert main(["land", "--lake", str(tmp_path / "lake"), "--source", "x", "--folder", str(tmp_path / "no")]) == 1
    assert main(["run", "--lake", str(tmp_path / "lake"), "--pipeline", str(pipeline)]) == 1
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("below", ["", "objects"])
def test_what_a_lake_keeps_is_no_source(lake_folder, tmp_path, below, capsys):
    arguments = ["land", "--lake", str(tmp_path / "new"), "--source", "x", "--folder", str(lake_folder / below)]
    assert main(arguments) == 1
    assert "is part of the lake" in capsys.readouterr().err


def test_names_of_files_reach_no_terminal_as_they_are(tmp_path):
    (tmp_path / "drop\x1b[2J" / "em\x1bpty").mkdir(parents=True)
    land = [sys.executable, "-m", "jobs.cli", "land", "--lake", str(tmp_path / "lake"), "--source", "s", "--folder"]
    for folder in ("drop\x1b[2J", "drop\x1b[2J/no\nwhere"):
        done = subprocess.run([*land, str(tmp_path / folder)], capture_output=True, text=True, cwd=ROOT, check=False)
        assert "\x1b" not in done.stdout + done.stderr
        assert all(line.startswith("petrel: ") for line in done.stderr.splitlines())
        assert "\\x1b[2J" in done.stderr
