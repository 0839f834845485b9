"""What `make test-fast` leaves out, and how tests are shared among processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import lanes

TESTS = Path(__file__).resolve().parents[1]

FILE = """
import os
import pytest

@pytest.mark.parametrize("number", range(8))
def test_where(number):
    with open("{ran}", "a") as ran:
        ran.write("{name} " + os.environ["PYTEST_XDIST_WORKER"] + "\\n")
"""


@pytest.mark.parametrize("table", [lanes.COSTLY, lanes.SESSION], ids=["COSTLY", "SESSION"])
def test_every_file_that_is_named_exists(table: dict[str, str]) -> None:
    named = [TESTS / folder / f"test_{name}.py" for folder, names in table.items() for name in names.split()]
    assert [path for path in named if not path.is_file()] == []
    assert all(lanes.is_among(str(path.relative_to(TESTS.parent)), table) for path in named)
    assert not lanes.is_among("tests/project/test_lanes.py", table)


def test_all_kinds_of_examples_are_tried_everywhere_and_all_examples_in_the_long_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert lanes.examples(4, long=12) == (12 if lanes.LANE == "long" else 4)
    monkeypatch.setattr(lanes, "LANE", "long")
    assert lanes.examples(4, long=12) == 12


def test_files_stay_whole_and_those_of_the_session_are_in_one_process_and_begin(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeconftest(
        "import pytest\n"
        "from tests.conftest import pytest_collection_modifyitems, pytest_runtest_setup, pytest_xdist_make_scheduler\n"
        "@pytest.fixture\ndef spark(): pass\n"
    )
    plain = ["tests/a/test_a.py", "tests/b/test_b.py", "tests/c/test_c.py"]
    with_session = ["tests/parity/test_datasets.py", "tests/opinions/test_parity.py"]
    for path in plain + with_session:
        (pytester.path / path).parent.mkdir(parents=True)
        (pytester.path / path).write_text(FILE.format(ran=pytester.path / "ran", name=path))
    monkeypatch.setenv("PYTHONPATH", str(TESTS.parent))
    monkeypatch.setenv("PETREL_TESTS", "")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    command = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "-p", "no:cacheprovider"]
    pytester.runpytest_subprocess(*command).assert_outcomes(passed=40)

    ran = [line.split() for line in (pytester.path / "ran").read_text().splitlines()]
    processes = {path: {process for each, process in ran if each == path} for path in plain + with_session}
    assert all(len(found) == 1 for found in processes.values())
    assert processes[with_session[0]] == processes[with_session[1]]
    (of_session,) = processes[with_session[0]]
    first = [name for name, process in ran if process == of_session][:16]
    assert set(first) == set(with_session)

    (pytester.path / "tests/a/test_a.py").write_text("def test_session(spark): pass\n")
    said = pytester.runpytest_subprocess("tests/a")
    said.assert_outcomes(errors=1)
    said.stdout.fnmatch_lines(["*whose tests take the fixture `spark` is to be named in SESSION of tests/lanes.py*"])
