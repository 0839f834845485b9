"""kill -9 at any moment of a merge, a revert, and the making and deletion of a branch: all or nothing, then right."""

from __future__ import annotations

import contextlib
import logging
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lakehouse.audit.verify import verify
from lakehouse.commits.branching import make_branch
from lakehouse.commits.making import commit
from lakehouse.commits.manifest import read_commit
from lakehouse.commits.refs import branches, head_of
from lakehouse.commits.tagging import tag_commit
from lakehouse.errors import ConfigError, VersionUnavailableError
from lakehouse.home import home_of
from lakehouse.lines import MAIN
from lakehouse.merging.merge import revert
from lakehouse.verification.places import line_home
from tests.lanes import examples
from tests.making import add_dimension, add_entities, add_opinions, opinion, small_lake
from tests.recovery.merger import WRONG, change

logger = logging.getLogger(__name__)

REPOSITORY = Path(__file__).resolve().parents[2]
KILLS = examples(3, long=30)
DONE_BEFORE = {"branch": (ConfigError,), "delete": (VersionUnavailableError,)}
"""What is said where the name is taken, or gone, since the killed run came so far."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A lake with a branch that adds to seven tables, takes rows out, and is at odds with main."""
    root = tmp_path_factory.mktemp("kept") / "lake"
    with small_lake(root) as main:
        add_entities(main, ["a", "b"])
        add_opinions(main, [opinion("a", "human:ann", "cat")])
        commit(main, "first")
        add_opinions(main, [opinion("b", "human:ann", "wrong")])
        tag_commit(main, WRONG, commit(main, "wrong").commit_id)
        make_branch(main, "relabel")
        branch = main.on(line_home(main.home, 2))
        add_opinions(branch, [opinion("a", "human:bob", "cat")])
        commit(branch, "bob's")
        revert(branch, "HEAD")
        add_entities(branch, ["c", "d"])
        add_dimension(branch, "brightness", {"c": 0.5, "d": 0.25})
        add_opinions(branch, [opinion(name, "human:cid", "cat") for name in "abcd"])
        revert(branch, WRONG)
        add_opinions(main, [opinion("a", "human:cid", "dog")])
        commit(main, "at odds")
    return root


def victim(root, verb):
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.recovery.merger", str(root), verb],
        cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def state(root):
    """What people see who go by commits and names: the tables of main, and the branches."""
    home = home_of(root)
    tables = read_commit(home, head_of(home, MAIN)).tables
    return {name: each.digest for name, each in tables.items()}, sorted(branches(home))


@pytest.mark.parametrize("verb", ["merge", "revert", "branch", "delete"])
def test_what_is_killed_is_done_wholly_or_not_at_all_and_then_right(kept, tmp_path, verb):
    before = state(kept)
    shutil.copytree(kept, tmp_path / "whole")
    process, started = victim(tmp_path / "whole", verb), time.perf_counter()
    process.communicate()
    lasts = time.perf_counter() - started
    whole = state(tmp_path / "whole")
    assert process.returncode == 0
    assert whole != before
    killed = midway = 0
    for number in range(KILLS if verb == "merge" else examples(1, long=30)):
        root = tmp_path / f"{number}"
        shutil.copytree(kept, root)
        process = victim(root, verb)
        if number % 2 and verb in ("merge", "revert"):  # every other one after it has said what is to be done
            while process.poll() is None and not any((root / "_merges").glob("*.json")):
                time.sleep(0.001)
        time.sleep(lasts * (number + 0.5) / (KILLS + 1) / (1 + number % 2))  # spread over all it does, its end too
        process.kill()
        process.communicate()
        killed += process.returncode != 0
        midway += any((root / "_merges").glob("*.json"))
        assert state(root) in (before, whole), number
        with small_lake(root) as lake:  # whatever was begun is finished here
            assert state(root) in (before, whole), number
            assert not list(lake.files.list("_merges"))
            with contextlib.suppress(*DONE_BEFORE.get(verb, ())):
                change(lake, verb)
            assert state(root) == whole, number
            assert {each.kind for each in verify(lake)} <= {"object"}  # whose bytes nobody wrote in this test
        shutil.rmtree(root)
    logger.info("%s: %d killed, %d of them midway", verb, killed, midway)
    assert killed
