"""The commands around commits, as people type them."""

from __future__ import annotations

import json

import pytest

from jobs.cli import main as petrel
from tests.commits.test_branches import branch
from tests.commits.test_commits import write
from tests.making import small_lake


@pytest.fixture
def root(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        write(lake, "ann")
    return tmp_path / "lake"


def test_a_campaign_on_a_branch_from_its_beginning_to_its_end(root, tmp_path, capsys):
    def said(*words, code=0):
        assert petrel([*words, "--lake", str(root)]) == code
        return capsys.readouterr().out

    commit = json.loads(said("commit", "-m", "all of it", "--json"))["commit_id"]
    assert "paper" in said("tag", "paper", commit[:8])
    assert "begins at" in said("branch", "relabel", "@paper")
    assert said("checkout", "relabel") == "export PETREL__LAKE__BRANCH=relabel\n"
    with branch(root, "relabel") as there:
        write(there, "bob")
    log = [json.loads(line) for line in said("log", "relabel", "--json").splitlines()]
    assert [each["message"] for each in log] == ["test: 1 silver.actors", "all of it", "test: 1 silver.actors"]
    assert log[1]["refs"] == ["main", "tag paper"]
    assert "silver.actors" in said("show", "@relabel")
    since = json.loads(said("status", "--since", "paper", "--branch", "relabel", "--json"))
    assert [(each["table"], each["rows_more"], each["committed"]) for each in since["tables"]] == [
        ("silver.actors", 1, True)
    ]  # fmt: skip
    (line,) = said("diff", "main", "relabel", "--json").splitlines()
    assert {name: json.loads(line)[name] for name in ("side", "table", "what", "added", "removed")} == {
        "side": "other", "table": "silver.actors", "what": "human", "added": 1, "removed": 0
    }  # fmt: skip
    (row,) = said("diff", "main", "relabel", "--rows", "--table", "silver.actors").splitlines()
    assert json.loads(row)["row"]["actor_id"] == "human:bob"
    query = said("diff", "main", "relabel", "--table", "silver.actors", "--sql")
    assert [json.loads(line) for line in said("sql", f"select side, change, name from ({query})", "--json").splitlines()
            ] == [{"side": "other", "change": "added", "name": "bob"}]  # fmt: skip
    assert said("diff", "HEAD", "HEAD", "--table", "silver.actors", "--sql").startswith("select 'one' as side")
    said("diff", "main", "relabel", "--html", str(tmp_path / "diff.html"))
    assert "silver.actors" in (tmp_path / "diff.html").read_text()
    assert "human:bob" not in (tmp_path / "diff.html").read_text()
    said("diff", "main", "relabel", "--rows", "--html", str(tmp_path / "rows.html"))
    page = (tmp_path / "rows.html").read_text()
    assert "silver.actors: 1 added on side other" in page
    assert "human:bob" in page
    assert said("merge", "relabel", "--list") == "no conflict\n"
    assert json.loads(said("merge", "relabel", "--json"))["counts"]["come"] == 1
    assert json.loads(said("revert", "HEAD", "--json"))["counts"] == {"come": 0, "gone": 1}
    said("branch", "--delete", "relabel")
    assert [json.loads(line)["name"] for line in said("branch", "--json").splitlines()] == ["main"]


def test_mistakes_are_told_in_one_line(root, capsys):
    for words, told in (
        (("sql", "--branch", "relabl", "select 1"), "no branch `relabl`"),
        (("sql", "select * from silver.actors@nobody"), "no commit, tag or branch"),
        (("sql", "select * from nothing@HEAD"), "no table or view `nothing`"),
        (("dimensions", "--branch", "@HEAD"), "commits are not written to"),
        (("merge", "main"), "is the branch that is open"),
        (("diff", "HEAD", "--table", "silver.opinion"), "did you mean"),
        (("diff", "HEAD", "--sql"), "name one --table"),
        (("merge", "HEAD", "--policy", "best"), "expected fail, ours, theirs, newest"),
        (("branch", "--delete", "main"), "cannot be deleted"),
    ):
        assert petrel([*words, "--lake", str(root)]) == 1
        error = capsys.readouterr().err
        assert told in error
        assert error.count("\n") == 1
