"""Two people on two branches import, relabel and take back; what has to be settled is listed exactly."""

from __future__ import annotations

import lakehouse as lh
from jobs.cli import main as petrel
from lakehouse.audit.verify import verify
from lakehouse.care.erase import erase
from lakehouse.commits.branching import make_branch
from lakehouse.commits.naming import newest_commit
from lakehouse.datasets.versions.counts import short_batches
from lakehouse.merging.merge import conflicts_with, merge
from lakehouse.query import fetch
from lakehouse.tables.read import pin_heads
from schemas.tables import BATCHES, OPINIONS
from tests.commits.test_branches import branch
from tests.ingestion.files import png, put, source
from tests.making import small_lake

HOLDS = """
select o.actor_id, s.name, o.label from current_opinions o join silver.entity_sources s on s.entity_id = o.subject_id
where o.op = 'assert' order by all
"""


def imported(root, name, actor, file, answers, tmp_path):
    """Import answers on a branch, as a person would."""
    path = tmp_path / file
    path.write_text("image,label\n" + "".join(f"{each}.png,{label}\n" for each, label in answers.items()))
    words = ["--source", "photos", "--format", "csv", "--path", str(path), "--question", "animal", "--actor", actor]
    assert petrel(["opinions", "import", "--lake", str(root), "--branch", name, *words]) == 0


def test_what_two_people_did_on_two_branches_comes_together_and_conflicts_are_listed_exactly(tmp_path):
    root = tmp_path / "lake"
    for number, name in enumerate("abcde"):
        put(tmp_path / "drop", f"{name}.png", png(number))
    with small_lake(root) as main:
        lh.land(main, source(tmp_path / "drop"))
        lh.entities(main)
    imported(root, "main", "human:ann", "first.csv", {"a": "cat", "b": "cat", "c": "dog", "d": "cow"}, tmp_path)
    with small_lake(root) as main:
        make_branch(main, "one")
        make_branch(main, "two")
    imported(root, "one", "human:ann", "again1.csv", {"a": "dog"}, tmp_path)
    imported(root, "one", "human:bob", "bob1.csv", {"c": "cat", "d": "cow"}, tmp_path)
    imported(root, "one", "human:eve", "eve1.csv", {"e": "cat"}, tmp_path)
    imported(root, "two", "human:ann", "again2.csv", {"a": "cow", "b": "dog"}, tmp_path)
    imported(root, "two", "human:bob", "bob2.csv", {"c": "dog", "d": "cow"}, tmp_path)
    imported(root, "two", "human:eve", "eve2.csv", {"e": "dog"}, tmp_path)
    words = ["opinions", "retract", "--lake", str(root), "--branch", "two", str(tmp_path / "eve2.csv")]
    assert petrel(words) == 0
    with branch(root, "one") as one, branch(root, "two") as two:
        rows = fetch(one, "select entity_id, name from silver.entity_sources")
        names = {row["entity_id"]: row["name"] for row in rows}
        listed = [(each.kind, each.about["actor_id"], names[each.about["subject_id"]],
                   {row["label"] for row in each.ours}, {row["label"] for row in each.theirs})
                  for each in conflicts_with(one, "two")]  # fmt: skip
        assert sorted(listed, key=str) == [
            ("opinion", "human:ann", "a.png", {"dog"}, {"cow"}), ("opinion", "human:bob", "c.png", {"cat"}, {"dog"}),
        ]  # fmt: skip
        receipt = merge(one, "two", policy="theirs")
        assert receipt.counts["conflicts"] == 2
        assert [tuple(row.values()) for row in fetch(one, HOLDS)] == [
            ("human:ann", "a.png", "cow"), ("human:ann", "b.png", "dog"), ("human:ann", "c.png", "dog"),
            ("human:ann", "d.png", "cow"), ("human:bob", "c.png", "dog"), ("human:bob", "d.png", "cow"),
            ("human:eve", "e.png", "cat"),
        ]  # fmt: skip
        merge(two, "one")
        assert fetch(two, HOLDS) == fetch(one, HOLDS)
        digests = [{name: each.digest for name, each in newest_commit(lake.home).tables.items() if name != BATCHES.name}
                   for lake in (one, two)]  # fmt: skip
        assert digests[0] == digests[1]  # but for which of two imports brought what both say
        counts = merge(one, "two").counts
        assert (counts["come"], counts["gone"]) == (0, 0)
        assert list(verify(one)) == list(verify(two)) == []


def test_an_import_that_brought_more_on_one_branch_than_on_another_is_whole_on_both_after_an_erasure(tmp_path):
    root = tmp_path / "lake"
    for number, name in enumerate("abc"):
        put(tmp_path / "drop", f"{name}.png", png(number))
    with small_lake(root) as main:
        lh.land(main, source(tmp_path / "drop"))
        lh.entities(main)
        make_branch(main, "one")
    imported(root, "one", "human:ann", "half.csv", {"a": "cat"}, tmp_path)
    for name in ("main", "one"):
        imported(root, name, "human:ann", "both.csv", {"a": "cat", "b": "dog"}, tmp_path)
    with small_lake(root) as main, branch(root, "one") as one:
        rows = fetch(main, "select entity_id from silver.entity_sources where name in ('a.png', 'b.png')")
        erase(main, entities=[row["entity_id"] for row in rows], reason="asked")
        for lake in (main, one):
            assert short_batches(lake, pin_heads(lake, [BATCHES.name, OPINIONS.name])) == []
