"""What nobody stated is guessed where one thing fits, said with the flags that state it, and else asked back."""

from __future__ import annotations

import json

import pytest

from jobs import opinions as job
from jobs.common import main_of
from lakehouse.errors import ConfigError
from lakehouse.opinions.reading.guess import Guess, guess
from lakehouse.query import fetch

LANDED = {"1.jpg", "2.jpg", "3.jpg"}
HINT = {"question": "q", "actor": "human:ann"}


def guessed(path, text: str | None = None, **stated: object) -> Guess:
    if text is not None:
        path.write_text(text)
    return guess({"path": str(path), **stated}, matched=lambda names: len(LANDED & set(names)), questions=["animal"])


def flags(path, text: str | None = None, **stated: object) -> str:
    return " ".join(guessed(path, text, **{**HINT, **stated}).flags)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("subject,label", ""), ("path,label", "--column subject=path"), ("Filename,Class",
         "--column subject=Filename --column label=Class"), ("label,image,when", "--column subject=image"),
        ("file,species", "--column subject=file --column label=species"), ("a,label", "--column subject=a"),
        ("label,a", "--column subject=a"), ("file,image,label", "--column subject=file"),
    ],
)
def test_columns_are_known_by_their_names_or_by_the_files_that_they_name(tmp_path, header, expected):
    cells = [{"label": "x"}.get(name, "2.jpg" if name in ("a", "file") else "other") for name in header.split(",")]
    found = flags(tmp_path / "l.csv", f"{header}\n{','.join(cells)}\n", format="csv")
    assert found == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image,label,count\n1.jpg,a,3\n1.jpg,b,48\n", "--column subject=image --column votes=count"),
        ("image,label,votes\n1.jpg,a,3\n", "--column subject=image --column votes=votes"),
        ("image,label,count\n1.jpg,a,3\n1.jpg,b,many\n", "--column subject=image"),  # not a number of votes
        ("image,label,annotator\n1.jpg,a,ada\n1.jpg,b,bob\n",
         "--option actor_prefix=human: --column subject=image --column actor=annotator"),
        ("image,label,worker\n1.jpg,a,human:ada\n", "--column subject=image --column actor=worker"),
    ],
)
def test_who_answered_and_how_many_is_known_by_the_names_of_columns(tmp_path, text, expected):
    assert " ".join(guessed(tmp_path / "l.csv", text, format="csv", question="q").flags).startswith(expected)


def test_a_stated_actor_is_the_one_who_answered(tmp_path):
    assert flags(tmp_path / "l.csv", "image,label,annotator\n1.jpg,a,ada\n", format="csv") == "--column subject=image"


def test_votes_in_a_column_that_nobody_named_are_counted_and_two_annotators_stay_two(photos, tmp_path):
    (tmp_path / "votes.csv").write_text("image,label,count\ncat/1.jpg,cat,48\ncat/1.jpg,dog,3\n")
    main_of(job, ["--lake", str(photos.root), "--path", str(tmp_path / "votes.csv"), "--question", "q",
                  "--actor", "pool:p"], engine="embedded")
    (tmp_path / "two.csv").write_text("image,label,annotator\ncat/1.jpg,cat,ada\ncat/1.jpg,dog,bob\n")
    main_of(job, ["--lake", str(photos.root), "--path", str(tmp_path / "two.csv"), "--question", "other"],
            engine="embedded")
    text = "select question_id, actor_id, label, votes from current_opinions order by question_id desc, label"
    assert [tuple(row.values()) for row in fetch(photos, text)] == [
        ("q", "pool:p", "cat", 48), ("q", "pool:p", "dog", 3),
        ("other", "human:ada", "cat", 1), ("other", "human:bob", "dog", 1),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,x,z\n1.jpg,a,b\n", "which column holds the labels; say which: --column label=x or --column label=z"),
        ("file,class,tag\n1.jpg,a,b\n", "--column label=class or --column label=tag"),
        ("a,b,label\n1.jpg,2.jpg,x\n", "names the files .*--column subject=a or --column subject=b"),
        ("file,image,label\n8.jpg,9.jpg,x\n", "--column subject=file or --column subject=image"),
        ("file,cat,dog\n1.jpg,0.7,0.3\n", "hold probabilities"),
    ],
)
def test_what_fits_twice_is_asked_back_with_the_flags_that_choose(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        guessed(tmp_path / "l.csv", text, **HINT)


@pytest.mark.parametrize(
    ("rows", "layout"),
    [("1.jpg,1,0\n2.jpg,0,1\n", "onehot"), ("1.jpg,1,1\n", "multihot"), ("1.jpg,0,0\n2.jpg,1,0\n", "multihot")],
)
def test_columns_of_noughts_and_ones_are_classes(tmp_path, rows, layout):
    found = guessed(tmp_path / "l.csv", "file,cat,dog\n" + rows, **HINT)
    assert found.flags == ("--format csv", f"--option layout={layout}", "--column subject=file")
    assert found.record["columns"] == {"subject": "file"}


def test_a_first_line_that_names_a_landed_file_is_no_header(tmp_path):
    found = flags(tmp_path / "l.csv", "1.jpg,cat\n2.jpg,dog\n", format="csv")
    assert found == "--option header=false --column subject=1 --column label=2"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"subject": "1.jpg", "label": "cat"}', ""), ('{"image": "1.jpg", "label": "cat"}', "--column subject=image"),
        ('{"meta": {"file": "1.jpg"}, "class": "cat"}', "--column subject=meta.file --column label=class"),
        ('{"subject_id": "1.jpg", "regions": []}', ""),
        ('{"file": "1.jpg", "probs": {"cat": 1}}', "--column subject=file"),
    ],
)
def test_keys_of_json_lines_are_known_alike(tmp_path, line, expected):
    assert flags(tmp_path / "l.jsonl", line + "\n", format="jsonl") == expected


def test_the_question_is_the_name_of_the_label_column_where_that_tells_one(tmp_path):
    found = guessed(tmp_path / "my labels.csv", "file,species\n1.jpg,cat\n")
    assert found.record["question"] == "species"
    assert found.record["actor"] == "import:my_labels"
    with pytest.raises(ConfigError, match=r"nothing says what is answered.*--question NAME.*this lake knows animal"):
        guessed(tmp_path / "l.csv", "file,label\n1.jpg,cat\n")


@pytest.mark.parametrize(
    ("names", "found"),
    [(["a.csv"], "csv"), (["a.jsonl"], "jsonl"), (["x/a.xml", "a.xml"], "voc"),
     (["cat/1.jpg", "dog/2.PNG"], "imagefolder")],
)
def test_the_format_of_a_folder_is_known_by_what_is_in_it(tmp_path, names, found):
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("subject,label\n1.jpg,cat\n" if name.endswith("csv") else "")
    assert guessed(tmp_path / "in", **HINT).record["format"] == found


@pytest.mark.parametrize(
    ("names", "message"),
    [(["cat/1.jpg", "labels.csv"], "say which: --format csv or --format imagefolder"),
     (["readme.md"], "say what it is"), (["1.jpg"], "no folder of pictures per class")],
)
def test_a_folder_that_is_several_things_or_none_is_asked_back(tmp_path, names, message):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    with pytest.raises(ConfigError, match=message):
        guessed(tmp_path, **HINT)


def test_a_file_of_no_known_ending_is_asked_back(tmp_path):
    with pytest.raises(ConfigError, match="cannot tell its format by its name; say it: --format"):
        guessed(tmp_path / "labels.txt", "file,label\n", **HINT)


def run(lake, *arguments: object, code: int = 0) -> None:
    assert main_of(job, ["--lake", str(lake.root), "--json", *map(str, arguments)], engine="embedded") == code


def test_the_command_says_what_it_guessed_with_the_flags_that_state_it(photos, tmp_path, capsys):
    (tmp_path / "labels.csv").write_text("file,species\n1.jpg,cat\n3.jpg,dog\n")
    run(photos, "--path", tmp_path / "labels.csv")
    receipt = json.loads(capsys.readouterr().out.splitlines()[0])
    said = next(note["example"] for note in receipt["notes"] if note["rule"] == "guessed")
    assert said == "--format csv --column subject=file --column label=species --question species --actor import:labels"
    assert receipt["counts"]["new"] == 2
    # Stated so, it is the same import.
    run(photos, "--path", tmp_path / "labels.csv", *said.split())
    again = json.loads(capsys.readouterr().out.splitlines()[0])
    assert again["details"]["unchanged"]
    assert again["notes"] == []


def test_lists_are_given_on_the_command_line_by_commas_or_one_by_one(photos, tmp_path):
    (tmp_path / "labels.csv").write_text('file,species\n1.jpg,?\n2.jpg,unsure\n3.jpg,"a,b"\n4.jpg,NA\n')
    common = ["--path", tmp_path / "labels.csv", "--option", "missing="]
    run(photos, *common, "--option", "abstain=?,unsure")
    assert fetch(photos, "select op, count(*) as n from opinions group by op order by op") == [
        {"op": "abstain", "n": 2}, {"op": "assert", "n": 2},
    ]
    run(photos, *common, "--actor", "human:bo", "--option", "abstain=a,b", "--option", "abstain=?")
    rows = fetch(photos, "select op from current_opinions where actor_id = 'human:bo' and label is null")
    assert len(rows) == 2


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--option", "abstian=?"], "unknown option `abstian`; did you mean `abstain`"),
        (["--option", "abstain"], "expected KEY=VALUE"), (["--option", "header=maybe"], "must be true or false"),
        (["--option", "question_version=two"], "must be a number"),
        (["--option", "header=true", "--option", "header=true"], "given 2 times"),
        (["--column", "subject=a", "--column", "subject=b"], "subject is given twice"),
        (["--column", "lable=species"], "did you mean `label`"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(photos, tmp_path, capsys, option, message):
    (tmp_path / "labels.csv").write_text("file,species\n1.jpg,cat\n")
    run(photos, "--path", tmp_path / "labels.csv", *option, code=1)
    assert message in capsys.readouterr().err


def test_a_separator_that_is_a_number_or_a_tab_stays_text(photos, tmp_path):
    (tmp_path / "labels.csv").write_text("file\tfur\n1.jpg\tcat1dog\n")
    run(photos, "--path", tmp_path / "labels.csv", "--option", "separator=1", "--option", "delimiter=tab")
    assert fetch(photos, "select labels from opinions") == [{"labels": ["cat", "dog"]}]


def test_a_synonym_is_given_on_the_command_line(photos, tmp_path):
    (tmp_path / "labels.csv").write_text("file,species\n1.jpg,Cat\n2.jpg,cat\n")
    run(photos, "--path", tmp_path / "labels.csv", "--synonym", "Cat=cat")
    assert fetch(photos, "select distinct label from opinions") == [{"label": "cat"}]


def test_a_file_without_answers_is_noted(photos, tmp_path, capsys):
    (tmp_path / "labels.csv").write_text("file,species\n")
    run(photos, "--path", tmp_path / "labels.csv")
    notes = json.loads(capsys.readouterr().out.splitlines()[0])["notes"]
    assert "nothing_read" in [note["rule"] for note in notes]
