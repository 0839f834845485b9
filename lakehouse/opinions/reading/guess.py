"""Guessing what nobody stated about annotation files: their format, their columns, the question. Every guess is said.

A guess is made only where one thing fits; where several do, the error lists them with the flags that choose.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.opinions.formats import format_named, format_options
from lakehouse.opinions.formats.csv_hot import is_share, layout_of
from lakehouse.opinions.formats.csv_write import COLUMNS, RECOGNISED
from lakehouse.opinions.formats.sample import Sample, sample_csv, sample_jsonl
from lakehouse.opinions.matching.names import match_subjects
from lakehouse.opinions.matching.subjects import SubjectRule
from lakehouse.opinions.reading.answer import Answer
from lakehouse.opinions.reading.answer_rows import ITEMS, answer_row
from lakehouse.opinions.reading.guess_format import guess_format
from lakehouse.opinions.reading.packed import batch_of
from lakehouse.opinions.reading.source import OpinionSource, opinion_source_from
from lakehouse.query import fetch

SUBJECT_NAMES = (
    "subject", "file", "filename", "file_name", "filepath", "file_path", "path", "image", "image_path", "image_name",
    "img", "img_path", "img_name", "imagename", "audio", "audio_path", "wav", "uri", "sha256", "image_id", "file_id",
)
GENERIC_LABELS = (
    "label", "labels", "class", "classes", "class_name", "classname", "category", "categories", "tag", "tags",
    "target", "y", "answer", "annotation",
)
"""Names of columns that hold labels and tell no question."""

VOTE_NAMES = ("votes", "n_votes", "num_votes", "vote_count", "count", "counts")
ACTOR_NAMES = (
    "actor", "annotator", "annotator_id", "annotated_by", "worker", "worker_id", "rater", "labeler", "labeller", "user",
)

BY_NAME = (("subject", "subject"), ("label", "label"))

MAX_MATCHED = 50
"""Names of a column that are looked up."""

Matched = Callable[[Sequence[str]], int]
"""How many of some names are those of landed things."""


@dataclass(frozen=True, slots=True)
class Guess:
    """What was stated and guessed.

    Attributes:
        record: All keys of the source, as `opinion_source_from` takes them.
        flags: Flags of the command that would state what was guessed.
    """

    record: Mapping[str, object]
    flags: tuple[str, ...]

def guess_source(lake: Lake, record: Mapping[str, object], *, where: str) -> OpinionSource:
    """Return the source that was stated, with what nobody stated guessed from the files and from what has landed.

    Args:
        lake: The lake.
        record: `path`, and any of the keys of a source and its format.
        where: Who states it, for messages.

    Raises:
        ConfigError: If several things fit, or nothing does; the message says which flags to give.
        IngestError: If the files cannot be read.
    """
    rule = SubjectRule(source=str(record.get("source", "")), match=str(record.get("match", "auto")))
    asked = [row["question_id"] for row in fetch(lake, "select distinct question_id from silver.questions")]
    found = guess(record, matched=lambda names: _num_matched(lake, names, rule), questions=asked)
    return dataclasses.replace(opinion_source_from(found.record, where=where), guessed=found.flags)


def guess(record: Mapping[str, object], *, matched: Matched, questions: Collection[str]) -> Guess:
    """Return the source with what nobody stated.

    Args:
        record: What was stated: `path`, and any of the keys of a source and its format.
        matched: For telling which column names landed things.
        questions: Questions that the lake knows, for messages.

    Raises:
        ConfigError: If several things fit, or nothing does; the message says which flags to give.
        IngestError: If the files cannot be read.
    """
    found, flags = dict(record), []
    path = Path(str(record["path"]))
    if "format" not in found:
        found["format"] = guess_format(path)
        flags.append(f"--format {found['format']}")
    _check_stated(found)
    label = ""
    if found["format"] in ("csv", "jsonl"):
        label = _guess_columns(path, found, flags, matched)
    if "question" not in found:
        found["question"] = _question(path, label, questions)
        flags.append(f"--question {found['question']}")
    if "actor" not in found:
        found["actor"] = f"import:{_plain(path.stem if path.is_file() else path.resolve().name)}"
        flags.append(f"--actor {found['actor']}")
    return Guess(found, tuple(flags))


def _check_stated(record: Mapping[str, object]) -> None:
    """Have wrong options refused as such, before they mislead a guess."""
    name = str(record["format"])
    of_format = {each.name for each in dataclasses.fields(format_named(name).options)}
    format_options(name, {"question": "", "actor": ""} | {key: record[key] for key in of_format & set(record)})


def _num_matched(lake: Lake, names: Sequence[str], rule: SubjectRule) -> int:
    keys = [name for name in dict.fromkeys(names) if name][:MAX_MATCHED]
    asked = [Answer(actor_id="", question_id="", subject_key=key, value=key) for key in keys]
    rows = [answer_row(each, identity=None, match=rule.match) for each in asked]
    items = lake.engine.stage(lake.engine.from_arrow(pa.Table.from_batches([batch_of(rows, ITEMS)])))
    matches = match_subjects(lake, items, rule, guess=False)
    found = fetch(lake, "select count(*) as n from found", inputs={"found": matches})
    return int(found[0]["n"])


def _guess_columns(path: Path, found: dict[str, object], flags: list[str], matched: Matched) -> str:
    """Fill in columns and layout; returns the column of the labels, "" if there is none."""
    stated = found.get("columns")
    columns: dict[str, str] = dict(stated) if isinstance(stated, Mapping) else {}
    sample = sample_csv(path, found) if found["format"] == "csv" else sample_jsonl(path)
    if found["format"] == "csv" and "header" not in found and not columns and _is_no_header(sample, matched):
        found["header"] = False
        flags.append("--option header=false")
        sample = sample_csv(path, found)
    if not sample.names:
        return columns.get("label", "")
    before = dict(columns)
    if "subject" not in columns:
        columns["subject"] = _subject(path, sample, columns, matched)
    rest = [name for name in sample.names if name not in columns.values()]
    if found["format"] == "csv" and "label" not in columns and not found.get("layout"):
        several = len(rest) > 1 and not any(name.lower() in GENERIC_LABELS for name in rest)
        layout = layout_of(sample.cells(rest)) if several else ""
        if several and not layout and sample.rows and all(is_share(cell) for row in sample.cells(rest) for cell in row):
            raise ConfigError(
                f"{path}: columns {', '.join(rest)} hold probabilities, which are not read from a column each: give "
                "them a prefix (--option probs_prefix=p_) beside a label column, or write JSON lines with `probs`; "
                "noughts and ones are read with --option layout=onehot or multihot"
            )
        if layout:
            found["layout"] = layout
            flags.append(f"--option layout={layout}")
    if "label" not in columns and not found.get("layout") and not (sample.has_value and "label" not in rest):
        columns["label"] = _label(path, sample, rest)
    if found["format"] == "csv" and RECOGNISED <= set(sample.names) <= set(COLUMNS):
        _take_ours(sample, columns, found, flags)
    elif found["format"] == "csv" and not found.get("layout"):
        _guess_who_and_how_many(path, sample, columns, found, flags)
    # A column called subject or label is read by its name.
    news = {role: name for role, name in columns.items() if before.get(role) != name and (role, name) not in BY_NAME}
    flags += [f"--column {role}={name}" for role, name in news.items()]
    if news or before:
        found["columns"] = {name: of for name, of in columns.items() if name in before or (name, of) not in BY_NAME}
    return columns.get("label", "")


def _take_ours(sample: Sample, columns: dict[str, str], found: dict[str, object], flags: list[str]) -> None:
    """Fill in the columns of a file that `petrel opinions export` wrote; who and what are stated go before them."""
    asked = list(dict.fromkeys(cell for cells in sample.cells(["question"]) for cell in cells if cell))
    left = {"actor"} & set(found)
    if "question" in found and found["question"] not in asked:
        left.add("question")
    elif "question" not in found and len(asked) == 1:
        found["question"] = asked[0]
        flags.append(f"--question {asked[0]}")
    for name in sample.names:
        if name not in left and name not in columns.values():
            columns.setdefault(name, name)


def _guess_who_and_how_many(
    path: Path, sample: Sample, columns: dict[str, str], found: dict[str, object], flags: list[str]
) -> None:
    """Fill in the columns without which every row would be one answer of one actor, and the last of them would hold."""
    free = [name for name in sample.names if name not in columns.values()]
    counts = [name for name in free if name.lower() in VOTE_NAMES and _all(sample, name, str.isdecimal)]
    people = [name for name in free if name.lower() in ACTOR_NAMES and _all(sample, name, bool)]
    if "actor" in found:
        people = []
    for role, names, what in (("votes", counts, "counts equal answers"), ("actor", people, "says who answered")):
        if role in columns or not names:
            continue
        if len(names) > 1:
            raise _ambiguous(path, role, names, what)
        columns[role] = names[0]
        if role == "actor" and "actor_prefix" not in found and not _all(sample, names[0], lambda cell: ":" in cell):
            found["actor_prefix"] = "human:"
            flags.append("--option actor_prefix=human:")


def _all(sample: Sample, name: str, fits: Callable[[str], bool]) -> bool:
    return bool(sample.rows) and all(fits(cell.strip()) for cells in sample.cells([name]) for cell in cells)


def _is_no_header(sample: Sample, matched: Matched) -> bool:
    if any(name.lower() in (*SUBJECT_NAMES, *GENERIC_LABELS) for name in sample.names):
        return False
    return bool(sample.names) and matched(sample.names) > 0


def _subject(path: Path, sample: Sample, columns: Mapping[str, str], matched: Matched) -> str:
    free = [name for name in sample.names if name not in columns.values()]
    named = [name for name in free if name.lower() in SUBJECT_NAMES]
    if len(named) == 1 or "subject" in named:
        return "subject" if "subject" in named else named[0]
    # By its name or, where that tells nothing, by what it holds.
    hits = {name: matched([cells[0] for cells in sample.cells([name])]) for name in named or free}
    best = [name for name, count in hits.items() if count and count == max(hits.values())]
    if len(best) == 1:
        return best[0]
    raise _ambiguous(path, "subject", best or named or free, "names the files that the answers are about")


def _label(path: Path, sample: Sample, rest: Sequence[str]) -> str:
    named = [name for name in rest if name.lower() in GENERIC_LABELS]
    if "label" in named:
        return "label"
    if len(named or rest) == 1:
        return (named or rest)[0]
    raise _ambiguous(path, "label", named or rest, "holds the labels")


def _ambiguous(path: Path, role: str, names: Sequence[str], what: str) -> ConfigError:
    if not names:
        return ConfigError(f"{path}: no column {what}; say which: --column {role}=NAME")
    shown = " or ".join(f"--column {role}={name}" for name in names)
    return ConfigError(f"{path}: cannot tell which column {what}; say which: {shown}")


def _question(path: Path, label: str, questions: Collection[str]) -> str:
    if label and label.lower() not in GENERIC_LABELS and not label.isdigit():
        return label.rpartition(".")[2]
    known = f" (this lake knows {', '.join(sorted(questions))})" if questions else ""
    raise ConfigError(f"{path}: nothing says what is answered; say it: --question NAME, for example species{known}")


def _plain(name: str) -> str:
    return re.sub(r"\s+", "_", name.strip()) or "file"
