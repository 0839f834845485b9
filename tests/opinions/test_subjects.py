"""How a name in an annotation file finds its entity."""

from __future__ import annotations

import unicodedata

import pytest

from lakehouse.opinions.matching.subjects import key_forms
from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.opinions.step import resolve_parked
from lakehouse.query import fetch
from tests.making import entity_id
from tests.opinions.making import counts, csv_source, land, said


@pytest.mark.parametrize(
    ("key", "match"),
    [
        ("cat/1.jpg", "auto"),
        ("1.jpg", "auto"),
        ("./cat/1.jpg", "auto"),
        ("cat\\1.jpg", "auto"),
        ("/data/drop/cat/1.jpg", "auto"),
        ("file:///drops/photos/cat/1.jpg", "auto"),
        (entity_id("cat/1.jpg"), "auto"),
        (entity_id("cat/1.jpg").upper(), "sha256"),
        ("elsewhere/1.jpg", "name"),
        ("1", "stem"),
    ],
)
def test_a_subject_is_found_by_path_name_uri_or_hash(photos, tmp_path, key, match):
    import_opinions(photos, csv_source(tmp_path / "a.csv", f"subject,label\n{key},cat\n", match=match))
    assert said(photos) == [("cat/1.jpg", "cat")]


def test_a_path_in_another_folder_is_not_taken_for_it(photos, tmp_path):
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\nelsewhere/1.jpg,cat\n"))
    assert receipt.counts == counts(read=1, unmatched=1)


def test_a_name_that_several_entities_have_is_parked_as_ambiguous(photos, tmp_path):
    land(photos, {"a/x.jpg": "first", "b/x.jpg": "second"})
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\nx.jpg,cat\nb/x.jpg,dog\n"))
    assert receipt.counts == counts(read=2, new=1, unmatched=1)
    assert fetch(photos, "select subject_key, reason, location from silver.parked_opinions") == [
        {"subject_key": "x.jpg", "reason": "ambiguous: 2 entities fit, as a/x.jpg and b/x.jpg",
         "location": "a.csv:2"}
    ]


def test_the_same_bytes_at_two_paths_are_one_subject_and_not_ambiguous(photos, tmp_path):
    land(photos, {"a/x.jpg": "same", "b/x.jpg": "same"})
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\nx.jpg,cat\n"))
    assert receipt.counts == counts(read=1, new=1)


def test_of_one_path_the_newest_bytes_are_meant(photos, tmp_path, clock):
    clock.forward(days=1)
    land(photos, {"cat/1.jpg": "new bytes"})
    import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\ncat/1.jpg,cat\n"))
    assert fetch(photos, "select subject_id from silver.opinions") == [{"subject_id": entity_id("new bytes")}]


def test_a_name_is_looked_for_in_its_source_only(photos, tmp_path):
    land(photos, {"1.jpg": "another one"}, source="others")
    import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\n1.jpg,cat\n", source="others"))
    assert fetch(photos, "select subject_id from silver.opinions") == [{"subject_id": entity_id("another one")}]


def test_decomposed_and_composed_names_find_each_other(photos, tmp_path):
    composed = "caf\u00e9.jpg"
    land(photos, {unicodedata.normalize("NFD", composed): "nfd", "tsch\u00fcss.jpg": "nfc"})
    other = unicodedata.normalize("NFD", "tsch\u00fcss.jpg")
    text = f"subject,label\n{composed},cat\n{other},dog\n"
    assert import_opinions(photos, csv_source(tmp_path / "a.csv", text)).counts == counts(read=2, new=2)


def test_a_percent_sign_in_a_name_is_found_as_the_lake_writes_it(photos, tmp_path):
    land(photos, {"100%25 cat.jpg": "percent"})
    text = "subject,label\n100% cat.jpg,cat\n"
    assert import_opinions(photos, csv_source(tmp_path / "a.csv", text)).counts == counts(read=1, new=1)


def test_spellings_of_a_key_are_few_and_without_repeats():
    assert key_forms("a/1.jpg", "path") == ["a/1.jpg"]
    assert key_forms("ABCD", "sha256") == ["abcd"]
    assert key_forms("./a\\b%.jpg", "path") == ["a/b%25.jpg", "a/b%.jpg"]


def taken(lake, tmp_path, keys, **changes):
    """What becomes of keys of one CSV: the receipt, and what is said about which path."""
    text = "subject,label\n" + "".join(f'"{key}",cat\n' for key in keys)
    receipt = import_opinions(lake, csv_source(tmp_path / "keys.csv", text, **changes))
    return receipt, [path for path, _ in said(lake)]


@pytest.mark.parametrize(
    ("key", "path", "rule"),
    [
        ("01noext", "01noext.jpg", "matched_by_stem"),
        ("02ext.jpg", "02ext.png", "matched_by_stem"),
        ("img/02ext.JPEG", "img/02ext.png", "matched_by_stem"),
        ("IMG/02ext.tif", "img/02EXT.png", "matched_by_stem"),
        ("v1.0", "v1.0.png", "matched_by_stem"),
        ("03case.jpg", "03case.JPG", "matched_by_case"),
        ("Img/03Case.jpg", "drop/img/03case.jpg", "matched_by_case"),
        ("/home/me/Img/03Case.jpg", "img/03case.jpg", "matched_by_case"),
        ("/home/me/photos/1.jpg", "1.jpg", "matched_by_tail"),
        ("my%20cat.jpg", "my cat.jpg", "matched_unquoted"),
        ("img%2Fa.jpg", "img/a.jpg", "matched_unquoted"),
        ("caf%C3%A9.jpg", "caf\u00e9.jpg", "matched_unquoted"),
    ],
)
def test_a_name_that_is_nearly_known_is_guessed_where_one_thing_fits_and_noted(photos, tmp_path, key, path, rule):
    land(photos, [path])
    receipt, found = taken(photos, tmp_path, [key])
    assert found == [path]
    assert [note.rule for note in receipt.notes] == [rule]
    assert f"{path} is" in receipt.notes[0].example
    assert [dict(row["ext"]) for row in fetch(photos, "select ext from silver.opinions")] == [{"flags": rule}]


@pytest.mark.parametrize(
    ("keys", "paths"),
    [
        (["train/x.jpg", "test/x.jpg"], ["x.jpg"]),  # two names mean one thing by their ends
        (["x"], ["x.jpg", "x.png"]),  # two things fit
        (["x.gif"], ["a/x.jpg", "b/x.png"]),
        (["X.jpg"], ["x.jpg", "x.JPG"]),
        (["x.v1"], ["x.png"]),  # no ending of a picture
        (["x"], ["x.v1.png"]),
        (["a/x"], ["b/x.png"]),  # another folder
        (["%zz.jpg"], ["zz.jpg"]),
        (["%00"], ["a.jpg"]),
    ],
)
def test_a_name_that_may_mean_several_things_or_none_is_parked_and_never_guessed(photos, tmp_path, keys, paths):
    land(photos, paths)
    receipt, found = taken(photos, tmp_path, keys)
    assert (receipt.counts, found) == (counts(read=len(keys), unmatched=len(keys)), [])


def test_a_name_is_not_guessed_at_what_another_name_means(photos, tmp_path):
    land(photos, ["x.jpg", "y.jpg"])
    receipt, found = taken(photos, tmp_path, ["x.jpg", "x.png", "y", "Y.jpg"])
    assert (receipt.counts, found) == (counts(read=4, new=1, unmatched=3), ["x.jpg"])
    # Nor later, when it waits alone.
    assert resolve_parked(photos).counts["still_parked"] == 3


def test_a_known_name_is_no_guess_whatever_else_is_near(photos, tmp_path):
    land(photos, ["x.jpg", "x.JPG", "x.png"])
    receipt, found = taken(photos, tmp_path, ["x.jpg"])
    assert (receipt.notes, found) == ((), ["x.jpg"])


@pytest.mark.parametrize(("match", "new"), [("path", 0), ("name", 0), ("stem", 1), ("auto", 1)])
def test_guessing_is_for_auto_only(photos, tmp_path, match, new):
    land(photos, ["x.jpg"])
    receipt, _ = taken(photos, tmp_path, ["x"], match=match)
    assert (receipt.counts, receipt.notes != ()) == (counts(read=1, new=new, unmatched=1 - new), match == "auto")


@pytest.mark.parametrize(
    ("key", "match", "hint"),
    [
        ("elsewhere/1.jpg", "auto", "'cat/1.jpg' is known, in another folder: set match = name"),
        ("1.png", "path", "'cat/1.jpg' is known, with another ending: set match = stem"),
        ("nothing.jpg", "auto", "nothing of that name; land it and resolve, or set match"),
        ("x.jpg", "auto", "2 entities fit, as a/x.jpg and b/x.jpg: name their folder as well"),
    ],
)
def test_an_unmatched_name_comes_with_the_way_out(photos, tmp_path, key, match, hint):
    land(photos, ["a/x.jpg", "b/x.jpg"])
    receipt, _ = taken(photos, tmp_path, [key], match=match)
    assert hint in receipt.details["unmatched"]


def voc_file(path, *, folder="", name="15same.jpg", label="cat"):
    path.parent.mkdir(parents=True, exist_ok=True)
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>"
    path.write_text(
        f"<annotation>{f'<folder>{folder}</folder>' if folder else ''}<filename>{name}</filename>"
        f"<object><name>{label}</name>{box}</object></annotation>"
    )


def regions_of(lake):
    rows = fetch(
        lake,
        "select s.path, o.labels[1] as label from current_opinions o "
        "join silver.entity_sources s on s.entity_id = o.subject_id order by s.path",
    )
    return [(row["path"], row["label"]) for row in rows]


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("name", ["15same.jpg", "15same"])
def test_files_of_one_name_are_told_apart_by_their_folder(photos, tmp_path, stated, name):
    land(photos, ["img/a/15same.jpg", "img/b/15same.jpg"])
    for folder, label in (("a", "cat"), ("b", "dog")):
        # Stated, the annotations may lie anywhere; else as the pictures do.
        place = tmp_path / "ann" / ("" if stated else folder) / (f"{folder}.xml" if stated else "15same.xml")
        voc_file(place, folder=folder if stated else "VOC2007", label=label, name=name)
    receipt = import_opinions(photos, csv_source(tmp_path / "ann", format="voc"))
    assert regions_of(photos) == [("img/a/15same.jpg", "cat"), ("img/b/15same.jpg", "dog")]
    assert sum(note.count for note in receipt.notes) == 2


@pytest.mark.parametrize(
    ("place", "folder"),
    [("a", "b"), ("c", ""), ("", ""), ("", "c"), ("", "VOC2007")],  # contradicting, or telling nothing
)
def test_of_several_of_one_name_none_is_taken_where_folders_do_not_decide(photos, tmp_path, place, folder):
    land(photos, ["img/a/15same.jpg", "img/b/15same.jpg"])
    voc_file(tmp_path / "ann" / place / "15same.xml", folder=folder)
    receipt = import_opinions(photos, csv_source(tmp_path / "ann", format="voc"))
    assert receipt.counts == counts(read=1, unmatched=1)
    parked = fetch(photos, "select reason from silver.parked_opinions")
    assert [row["reason"] for row in parked] == [
        "ambiguous: 2 entities fit, as img/a/15same.jpg and img/b/15same.jpg"
    ]


def test_a_folder_that_one_file_lies_in_does_not_hide_a_name_that_is_known_once(photos, tmp_path):
    land(photos, ["JPEGImages/000001.jpg"])
    voc_file(tmp_path / "ann" / "x" / "1.xml", folder="VOC2007", name="000001.jpg")
    receipt = import_opinions(photos, csv_source(tmp_path / "ann", format="voc"))
    assert (regions_of(photos), receipt.notes) == ([("JPEGImages/000001.jpg", "cat")], ())


def test_answers_that_wait_keep_their_folder(photos, tmp_path):
    for folder, label in (("a", "cat"), ("b", "dog")):
        voc_file(tmp_path / "ann" / folder / "15same.xml", folder=folder, label=label)
    import_opinions(photos, csv_source(tmp_path / "ann", format="voc"))
    land(photos, ["img/a/15same.jpg", "img/b/15same.jpg"])
    receipt = resolve_parked(photos)
    assert (receipt.counts["new"], [note.rule for note in receipt.notes]) == (2, ["matched_by_folder"])
    assert regions_of(photos) == [("img/a/15same.jpg", "cat"), ("img/b/15same.jpg", "dog")]
