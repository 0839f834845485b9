"""Answers about things that have not landed yet wait, and are never lost."""

from __future__ import annotations

from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.opinions.step import resolve_parked
from lakehouse.query import fetch
from tests.making import entity_id
from tests.opinions.making import counts, csv_source, land, said, versions


def waited(waiting: int = 0, new: int = 0, same: int = 0, rejected: int = 0, still_parked: int = 0) -> dict[str, int]:
    return {"waiting": waiting, "new": new, "same": same, "rejected": rejected, "still_parked": still_parked}


def test_an_answer_about_an_unknown_subject_is_parked_with_all_it_needs(photos, tmp_path):
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\n9.jpg,cat\n"))
    assert receipt.counts == counts(read=1, unmatched=1)
    assert receipt.details["unmatched"].startswith("for example '9.jpg' (nothing of that name")
    row = fetch(photos, "select status, subject_key, reason, subject_rule_json from silver.parked_opinions")[0]
    assert row == {
        "status": "parked", "subject_key": "9.jpg", "reason": "unknown: nothing of that name",
        "subject_rule_json": '{"match":"auto","source":"photos"}',
    }


def test_it_becomes_an_opinion_when_its_subject_lands_and_only_once(photos, tmp_path, clock):
    import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\n9.jpg,cat\n8.jpg,dog\n"))
    assert resolve_parked(photos).counts == waited(waiting=2, still_parked=2)
    land(photos, ["9.jpg"])
    clock.forward(days=1)
    assert resolve_parked(photos).counts == waited(waiting=2, new=1, still_parked=1)
    row = fetch(photos, "select opinion_id, subject_id, label, batch_id, ingest_time from silver.opinions")[0]
    assert (row["subject_id"], row["label"], row["ingest_time"]) == (entity_id("9.jpg"), "cat", clock.now)
    assert fetch(photos, "select batch_id from silver.batches") == [{"batch_id": row["batch_id"]}]
    assert fetch(photos, "select opinion_id from silver.parked_opinions where status = 'resolved'") == [
        {"opinion_id": row["opinion_id"]}
    ]
    before = versions(photos)
    assert resolve_parked(photos).counts == waited(waiting=1, still_parked=1)
    assert versions(photos) == before


def test_a_parked_answer_gets_the_id_it_would_have_got_at_once(photos, tmp_path):
    source = csv_source(tmp_path / "a.csv", "subject,label,at\n9.jpg,cat,2025-01-01T00:00:00Z\n",
                        options={"columns": {"time": "at"}})
    import_opinions(photos, source)
    land(photos, ["9.jpg"])
    # The whole file comes again from another place: now the subject is known.
    (tmp_path / "b.csv").write_bytes((tmp_path / "a.csv").read_bytes())
    again = import_opinions(photos, csv_source(tmp_path / "b.csv", options=source.options))
    assert again.counts == counts(read=1, new=1)
    assert resolve_parked(photos).counts == waited(waiting=1, same=1)
    assert fetch(photos, "select count(*) as n from silver.opinions") == [{"n": 1}]


def test_a_parked_correction_still_corrects(photos, tmp_path):
    for label in ("cat", "lynx", "cat"):
        import_opinions(photos, csv_source(tmp_path / "a.csv", f"subject,label\n9.jpg,{label}\n"))
    land(photos, ["9.jpg"])
    assert resolve_parked(photos).counts == waited(waiting=3, new=3)
    assert said(photos) == [("9.jpg", "cat")]


def test_a_parked_answer_is_not_resolved_by_another_source(photos, tmp_path):
    import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\n9.jpg,cat\n"))
    land(photos, ["9.jpg"], source="others")
    assert resolve_parked(photos).counts == waited(waiting=1, still_parked=1)


def test_an_ambiguous_answer_is_resolved_when_one_place_gets_the_bytes_of_the_other(photos, tmp_path, clock):
    land(photos, {"a/x.jpg": "first", "b/x.jpg": "second"})
    import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\nx.jpg,cat\n"))
    clock.forward(days=1)
    land(photos, {"b/x.jpg": "first"})
    assert resolve_parked(photos).counts == waited(waiting=1, new=1)
