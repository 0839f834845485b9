"""Importing annotation files: once is enough, corrections supersede, and every row is accounted for."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from lakehouse.errors import ConfigError, IngestError
from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.query import fetch
from tests.making import entity_id
from tests.opinions.making import counts, csv_source, jsonl_source, said, versions

TWO = "subject,label\n1.jpg,cat\n3.jpg,dog\n"


def test_every_row_becomes_an_opinion_about_its_entity(photos, tmp_path):
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", TWO))
    assert receipt.counts == counts(read=2, new=2)
    rows = fetch(photos, "select subject_id, label, actor_id, op, votes from silver.opinions order by label")
    assert rows == [
        {"subject_id": entity_id("cat/1.jpg"), "label": "cat", "actor_id": "human:ann", "op": "assert", "votes": 1},
        {"subject_id": entity_id("dog/3.jpg"), "label": "dog", "actor_id": "human:ann", "op": "assert", "votes": 1},
    ]


def test_importing_again_adds_no_row_to_any_table(photos, tmp_path, clock):
    source = csv_source(tmp_path / "a.csv", TWO + "9.jpg,cat\n1.jpg,\n")
    assert import_opinions(photos, source).counts == counts(read=4, new=2, rejected=1, unmatched=1)
    before = versions(photos)
    clock.forward(days=1)
    assert not import_opinions(photos, source).changed
    assert versions(photos) == before


def test_a_copy_of_the_file_elsewhere_adds_no_row_to_any_table(photos, tmp_path):
    import_opinions(photos, csv_source(tmp_path / "a.csv", TWO))
    before = versions(photos)
    receipt = import_opinions(photos, csv_source(tmp_path / "b.csv", TWO))
    assert receipt.counts == counts(read=2, same=2)
    assert versions(photos) == before


def test_a_longer_file_adds_what_is_new_in_it(photos, tmp_path):
    import_opinions(photos, csv_source(tmp_path / "a.csv", TWO))
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", TWO + "4.jpg,dog\n"))
    assert receipt.counts == counts(read=3, new=1, same=2)


def test_a_corrected_file_supersedes_what_it_corrects_and_keeps_it(photos, tmp_path):
    import_opinions(photos, csv_source(tmp_path / "a.csv", TWO))
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", TWO.replace("3.jpg,dog", "3.jpg,wolf")))
    assert receipt.counts == counts(read=2, new=1, same=1)
    assert said(photos) == [("cat/1.jpg", "cat"), ("dog/3.jpg", "wolf")]
    assert said(photos, view="opinions") == [("cat/1.jpg", "cat"), ("dog/3.jpg", "dog"), ("dog/3.jpg", "wolf")]
    first, second = fetch(
        photos, "select opinion_id, supersedes from silver.opinions where label in ('dog', 'wolf') order by label"
    )
    assert second["supersedes"] == [first["opinion_id"]]


def test_one_moved_box_is_one_new_opinion_that_supersedes(photos, tmp_path):
    line = '{"subject": "%s", "regions": [{"kind": "box", "label": "x", "x": %d, "y": 0, "w": 5, "h": 5}]}\n'
    source = jsonl_source(tmp_path / "a.jsonl", line % ("1.jpg", 1) + line % ("3.jpg", 1))
    assert import_opinions(photos, source).counts == counts(read=2, new=2)
    moved = jsonl_source(tmp_path / "a.jsonl", line % ("1.jpg", 1) + line % ("3.jpg", 2))
    assert import_opinions(photos, moved).counts == counts(read=2, new=1, same=1)
    found = fetch(photos, "select r.x from current_opinions o cross join lateral unnest(o.regions) as t(r)")
    assert sorted(row["x"] for row in found) == [1.0, 2.0]


def test_a_then_b_then_a_again_ends_with_a(photos, tmp_path):
    path = tmp_path / "a.csv"
    for label in ("cat", "lynx", "cat", "lynx", "cat"):
        receipt = import_opinions(photos, csv_source(path, f"subject,label\n1.jpg,{label}\n"))
        assert receipt.counts == counts(read=1, new=1)
        assert said(photos) == [("cat/1.jpg", label)]
    assert not import_opinions(photos, csv_source(path)).changed
    assert fetch(photos, "select count(distinct opinion_id) as n from silver.opinions") == [{"n": 5}]


def test_a_then_b_then_a_with_stated_times_ends_with_a(photos, tmp_path):
    for day, label in ((1, "cat"), (2, "lynx"), (3, "cat")):
        when = datetime(2025, 1, day, tzinfo=UTC)
        source = csv_source(tmp_path / "a.csv", f"subject,label\n1.jpg,{label}\n", valid_time=when)
        assert import_opinions(photos, source).counts == counts(read=1, new=1)
    assert said(photos) == [("cat/1.jpg", "cat")]
    rows = fetch(photos, "select event_time_source, supersedes from silver.opinions")
    assert rows == [{"event_time_source": "batch", "supersedes": None}] * 3


def test_the_value_an_actor_holds_already_is_not_said_again_at_a_later_stated_time(photos, tmp_path):
    import_opinions(photos, csv_source(tmp_path / "a.csv", TWO, valid_time=datetime(2025, 1, 1, tzinfo=UTC)))
    later = csv_source(tmp_path / "a.csv", TWO, valid_time=datetime(2025, 2, 1, tzinfo=UTC))
    assert import_opinions(photos, later).counts == counts(read=2, same=2)


def test_a_worker_who_contradicts_himself_keeps_both_answers_and_the_last_is_current(photos, tmp_path):
    text = "subject,label\n1.jpg,cat\n1.jpg,lynx\n1.jpg,dog\n"
    assert import_opinions(photos, csv_source(tmp_path / "a.csv", text)).counts == counts(read=3, new=3)
    assert said(photos) == [("cat/1.jpg", "dog")]
    before = versions(photos)
    assert import_opinions(photos, csv_source(tmp_path / "b.csv", text)).counts == counts(read=3, same=3)
    assert versions(photos) == before


def test_equal_rows_without_id_and_time_are_rejected_until_somebody_says_what_they_are(photos, tmp_path):
    text = "subject,label\n1.jpg,cat\n1.jpg,cat\n1.jpg,cat\n3.jpg,dog\n"
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", text))
    assert receipt.counts == counts(read=4, new=2, rejected=2)
    assert fetch(photos, "select distinct rule from silver.rejected") == [{"rule": "ambiguous_repeat"}]


@pytest.mark.parametrize(
    ("repeat", "expected", "votes", "rows"),
    [
        ("duplicate", counts(read=4, new=2, same=2), 2, 2),
        ("votes", counts(read=4, new=2, same=2), 4, 2),
        ("event", counts(read=4, new=4), 2, 4),
    ],
)
def test_equal_rows_count_as_the_source_says(photos, tmp_path, repeat, expected, votes, rows):
    text = "subject,label\n1.jpg,cat\n1.jpg,cat\n1.jpg,cat\n3.jpg,dog\n"
    source = csv_source(tmp_path / "a.csv", text, repeat=repeat, actor="pool:crowd")
    assert import_opinions(photos, source).counts == expected
    found = fetch(photos, "select (select sum(votes) from current_opinions) as v, count(*) as n from silver.opinions")
    assert (int(found[0]["v"]), found[0]["n"]) == (votes, rows)
    before = versions(photos)
    copy = dataclasses.replace(source, path=str((tmp_path / "a.csv").rename(tmp_path / "b.csv")))
    assert import_opinions(photos, copy).counts == counts(read=4, same=4)
    assert versions(photos) == before


@pytest.mark.parametrize(
    ("votes", "rule"),
    [("9223372036854775807", "not_an_integer"), ("999999999999999999", "too_many_votes"),
     ("1000000001", "too_many_votes"), ("0", "no_votes"), ("-3", "no_votes"), ("1.5", "not_an_integer"),
     ("1e3", "not_an_integer"), ("", "not_an_integer")],
)
def test_votes_that_nobody_counted_are_rejected_and_sums_stay_within_64_bits(photos, tmp_path, votes, rule):
    text = f"subject,label,n\n1.jpg,cat,{votes}\n2.jpg,cat,1000000000\n2.jpg,dog,1000000000\n"
    source = csv_source(tmp_path / "a.csv", text, actor="pool:crowd", options={"columns": {"votes": "n"}})
    assert import_opinions(photos, source).counts == counts(read=3, new=2, rejected=1)
    assert fetch(photos, "select rule from silver.rejected") == [{"rule": rule}]
    assert [row["votes"] for row in fetch(photos, "select votes from labels")] == [10**9] * 2


@pytest.mark.parametrize("votes", ["9223372036854775807", "1000000001", "0", "-1", "1.0", "true", '"3"'])
def test_votes_of_json_lines_are_checked_as_those_of_csv(photos, tmp_path, votes):
    text = f'{{"subject": "1.jpg", "label": "cat", "votes": {votes}}}\n'
    assert import_opinions(photos, jsonl_source(tmp_path / "a.jsonl", text)).counts == counts(read=1, rejected=1)


def test_equal_rows_whose_votes_add_up_to_an_absurd_number_are_rejected(photos, tmp_path):
    text = "subject,label,n\n" + "1.jpg,cat,600000000\n" * 2
    options = {"columns": {"votes": "n"}}
    source = csv_source(tmp_path / "a.csv", text, actor="pool:crowd", repeat="votes", options=options)
    assert import_opinions(photos, source).counts == counts(read=2, rejected=2)
    assert fetch(photos, "select distinct rule from silver.rejected") == [{"rule": "too_many_votes"}]


def test_votes_of_one_pool_for_several_labels_stand_side_by_side(photos, tmp_path):
    text = "subject,label\n1.jpg,cat\n1.jpg,dog\n1.jpg,cat\n"
    import_opinions(photos, csv_source(tmp_path / "a.csv", text, repeat="votes", actor="pool:crowd"))
    rows = fetch(photos, "select label, votes, rank from labels order by rank")
    assert rows == [{"label": "cat", "votes": 2, "rank": 1}, {"label": "dog", "votes": 1, "rank": 2}]


def test_corrected_counts_replace_the_old_ones_label_by_label(photos, tmp_path):
    options = {"columns": {"votes": "n"}}
    for text, total in (("1.jpg,cat,48\n1.jpg,dog,2\n", 50), ("1.jpg,cat,47\n1.jpg,dog,3\n", 50)):
        import_opinions(
            photos, csv_source(tmp_path / "a.csv", "subject,label,n\n" + text, actor="pool:crowd", options=options)
        )
        assert int(fetch(photos, "select sum(votes) as v from current_opinions")[0]["v"]) == total
    assert [row["votes"] for row in fetch(photos, "select votes from labels order by rank")] == [47, 3]


def test_an_abstention_hides_the_earlier_answer_and_counts_no_vote(photos, tmp_path):
    options = {"abstain": ["?"]}
    import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\n1.jpg,cat\n", options=options))
    import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\n1.jpg,?\n", options=options))
    assert fetch(photos, "select op, value_kind, label from current_opinions") == [
        {"op": "abstain", "value_kind": "none", "label": None}
    ]
    assert fetch(photos, "select * from labels") == []


def test_a_label_outside_the_closed_set_is_rejected_with_file_and_line(photos, tmp_path):
    source = csv_source(tmp_path / "a.csv", TWO + "4.jpg,dgo\n", labels=("cat", "dog"))
    assert import_opinions(photos, source).counts == counts(read=3, new=2, rejected=1)
    assert fetch(photos, "select step, rule, location, reason, raw from silver.rejected") == [
        {
            "step": "opinions", "rule": "unknown_label", "location": "a.csv:4",
            "reason": "label 'dgo' is not in the label set", "raw": '{"subject": "4.jpg", "label": "dgo"}',
        }
    ]


def test_a_synonym_becomes_its_label_and_is_kept_in_the_label_set(photos, tmp_path):
    text = "subject,label\n1.jpg,0\n3.jpg,dog\n"
    source = csv_source(tmp_path / "a.csv", text, labels=("cat", "dog"), synonyms={"0": "cat"})
    import_opinions(photos, source)
    assert said(photos) == [("cat/1.jpg", "cat"), ("dog/3.jpg", "dog")]
    assert fetch(photos, "select label_id, ordinal, synonyms from silver.label_sets order by ordinal") == [
        {"label_id": "cat", "ordinal": 0, "synonyms": ["0"]}, {"label_id": "dog", "ordinal": 1, "synonyms": None},
    ]


def test_labels_of_an_open_question_are_learnt_in_order(photos, tmp_path):
    import_opinions(photos, csv_source(tmp_path / "a.csv", TWO))
    import_opinions(photos, csv_source(tmp_path / "b.csv", "subject,label\n4.jpg,ape\n", actor="human:bo"))
    rows = fetch(photos, "select label_id, ordinal from silver.label_sets order by ordinal")
    assert [(row["label_id"], row["ordinal"]) for row in rows] == [("cat", 0), ("dog", 1), ("ape", 2)]


def test_too_many_rejected_rows_fail_loudly_and_write_nothing(photos, tmp_path):
    source = csv_source(tmp_path / "a.csv", TWO + "4.jpg,\n", max_rejected_share=0.3)
    before = versions(photos)
    with pytest.raises(IngestError, match=r"1 of 3 rows do not pass.*nothing was written.*a\.csv:4: empty_label"):
        import_opinions(photos, source)
    assert versions(photos) == before


def test_the_first_rows_that_do_not_pass_are_told_first(photos, tmp_path):
    rows = "".join(f"{number}.jpg,{'' if number in (1, 9, 10, 11) else 'cat'}\n" for number in range(1, 13))
    source = csv_source(tmp_path / "a.csv", "subject,label\n" + rows, max_rejected_share=0.3)
    with pytest.raises(IngestError, match=r"First: a\.csv:2: [^;]*;[^;]*; a\.csv:10: [^;]*;[^;]*; a\.csv:11: "):
        import_opinions(photos, source)


def test_a_question_with_another_meaning_asks_for_a_new_version(photos, tmp_path):
    import_opinions(photos, csv_source(tmp_path / "a.csv", TWO))
    number = csv_source(tmp_path / "b.csv", "subject,label\n1.jpg,3\n", options={"value_kind": "number"})
    with pytest.raises(ConfigError, match=r"answer_kind is 'label' in this lake.*'number'.*question_version = 2"):
        import_opinions(photos, number)
    assert import_opinions(photos, dataclasses.replace(number, question_version=2)).counts == counts(read=1, new=1)
    assert fetch(photos, "select version, answer_kind from silver.questions order by version") == [
        {"version": 1, "answer_kind": "label"}, {"version": 2, "answer_kind": "number"},
    ]


def test_answers_of_two_kinds_to_one_new_question_are_refused(photos, tmp_path):
    text = (
        '{"subject": "1.jpg", "question": "q", "label": "cat"}\n{"subject": "3.jpg", "question": "q", "number": 1}\n'
    )
    before = versions(photos)
    with pytest.raises(IngestError, match="question q version 1: answers of kinds label and number"):
        import_opinions(photos, jsonl_source(tmp_path / "a.jsonl", text))
    assert versions(photos) == before


def test_actors_are_registered_once_with_their_kind_and_version(photos, tmp_path):
    text = '{"subject": "1.jpg", "label": "cat", "actor": "%s"}\n'
    source = jsonl_source(tmp_path / "a.jsonl", text % "model:cnn@3" + text % "human:bo")
    import_opinions(photos, source)
    assert fetch(photos, "select actor_id, kind, name, model_version from silver.actors order by actor_id") == [
        {"actor_id": "human:bo", "kind": "human", "name": "bo", "model_version": None},
        {"actor_id": "model:cnn@3", "kind": "model", "name": "cnn", "model_version": "3"},
    ]


def test_an_actor_of_no_known_kind_is_rejected(photos, tmp_path):
    line = '{"subject": "1.jpg", "label": "cat", "actor": "%s"}\n'
    text = line % "bo" + line % "model:without_version"
    assert import_opinions(photos, jsonl_source(tmp_path / "a.jsonl", text)).counts == counts(read=2, rejected=2)
    assert fetch(photos, "select distinct rule from silver.rejected") == [{"rule": "bad_actor"}]


def test_an_id_with_its_version_is_known_again_and_a_new_version_supersedes(photos, tmp_path):
    options = {"columns": {"id": "id", "version": "v"}}
    head = "subject,label,id,v\n"
    import_opinions(photos, csv_source(tmp_path / "a.csv", head + "1.jpg,cat,7,1\n", options=options))
    edited = import_opinions(photos, csv_source(tmp_path / "a.csv", head + "1.jpg,dog,7,2\n", options=options))
    assert edited.counts == counts(read=1, new=1)
    assert said(photos) == [("cat/1.jpg", "dog")]


def test_an_edit_under_the_same_id_and_version_is_an_error_row_and_no_overwrite(photos, tmp_path):
    options = {"columns": {"id": "id", "version": "v"}}
    head = "subject,label,id,v\n"
    import_opinions(photos, csv_source(tmp_path / "a.csv", head + "1.jpg,cat,7,1\n", options=options))
    edited = import_opinions(photos, csv_source(tmp_path / "a.csv", head + "1.jpg,dog,7,1\n", options=options))
    assert edited.counts == counts(read=1, rejected=1)
    assert fetch(photos, "select rule from silver.rejected") == [{"rule": "changed_without_version"}]
    assert said(photos) == [("cat/1.jpg", "cat")]


def test_the_batch_tells_what_was_read_and_balances(photos, tmp_path):
    source = csv_source(tmp_path / "a.csv", TWO + "9.jpg,cat\n1.jpg,\n", name="first round")
    import_opinions(photos, source)
    rows = fetch(
        photos,
        "select source, format, rows_read, rows_new, rows_same, rows_rejected, rows_unmatched, ordinal "
        "from silver.batches",
    )
    assert rows == [
        {
            "source": "first round", "format": "csv", "rows_read": 4, "rows_new": 2, "rows_same": 0,
            "rows_rejected": 1, "rows_unmatched": 1, "ordinal": 1,
        }
    ]


def test_an_import_that_was_killed_before_its_batch_was_written_is_completed(photos, tmp_path, monkeypatch):
    source = csv_source(tmp_path / "a.csv", TWO)

    def killed(*_: object) -> dict[str, object]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lakehouse.opinions.writing.write.batch_row", killed)
        with pytest.raises(KeyboardInterrupt):
            import_opinions(photos, source)
    assert fetch(photos, "select count(*) as n from silver.batches") == [{"n": 0}]
    assert import_opinions(photos, source).counts == counts(read=2, new=2)
    assert fetch(photos, "select rows_new from silver.batches") == [{"rows_new": 2}]
    ids = [row["opinion_id"] for row in fetch(photos, "select opinion_id from silver.opinions")]
    assert len(ids) == len(set(ids)) == 2


def test_a_file_that_changes_while_it_is_read_is_not_imported(photos, tmp_path, monkeypatch):
    states = iter([[(1, 2, 3)], [(1, 2, 4)]])
    monkeypatch.setattr("lakehouse.opinions.step.stamps", lambda *_: next(states))
    before = versions(photos)
    with pytest.raises(IngestError, match="changed while it was read; import it again"):
        import_opinions(photos, csv_source(tmp_path / "a.csv", TWO))
    assert versions(photos) == before


def test_a_box_beyond_its_frame_and_a_time_in_the_future_are_kept_and_flagged(photos, tmp_path):
    text = (
        '{"subject": "1.jpg", "event_time": "2099-01-01T00:00:00Z", "frame_w": 10, "frame_h": 10, '
        '"regions": [{"kind": "box", "label": "x", "x": 5, "y": 5, "w": 6, "h": 1}]}\n'
    )
    import_opinions(photos, jsonl_source(tmp_path / "a.jsonl", text, answer_kind="regions"))
    row = fetch(photos, "select ext, regions, labels from silver.opinions")[0]
    assert dict(row["ext"]) == {"flags": "future outside_frame"}
    assert (row["regions"][0]["w"], row["labels"]) == (6.0, ["x"])


def test_a_missing_file_is_an_error_that_names_it(photos, tmp_path):
    with pytest.raises(IngestError, match=r"a\.csv does not exist"):
        import_opinions(photos, csv_source(tmp_path / "a.csv"))


def test_evidence_against_the_origin_of_boxes_is_told(photos, tmp_path):
    box = "<bndbox><xmin>0</xmin><ymin>0</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    (tmp_path / "x").mkdir()
    for name in ("1", "3"):
        (tmp_path / "x" / f"{name}.xml").write_text(
            f"<annotation><filename>{name}.jpg</filename><object><name>x</name>{box}</object></annotation>"
        )
    receipt = import_opinions(photos, csv_source(tmp_path / "x", format="voc"))
    assert [note.rule for note in receipt.notes] == ["voc_options", "outside_frame"]
    assert receipt.notes[0].example.startswith("2 of 2 boxes begin at 0, which counting from 1 rules out")
