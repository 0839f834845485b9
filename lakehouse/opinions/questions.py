"""Questions, labels and actors: registered before the answers that name them, append-only."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lakehouse.errors import ConfigError, IngestError
from lakehouse.lake import Lake
from lakehouse.query import fetch
from schemas.canonical import canonical_json

CLOSED_KINDS = "closed_kinds"
"""In `constraints_json`: answers have regions of the `geometry_kinds` alone."""

LABELLED = ("label", "labels", "regions", "spans", "ranking")
"""Kinds of answers that are made of labels."""


def is_closed(constraints_json: object) -> bool:
    """Return whether a question takes no labels outside its set, from its `constraints_json`."""
    return bool(constraints_of(constraints_json).get("closed"))


def constraints_of(constraints_json: object) -> dict[str, object]:
    """Return what stands in `constraints_json` of a question."""
    found: dict[str, object] = json.loads(str(constraints_json)) if constraints_json else {}
    return found


HELD_LABELS = """
with ranked as (
    select label_set_id, label_id, version, name, parent_id, ordinal, synonyms, export_ids, status, merged_into,
        valid_from, row_number() over (partition by label_set_id, label_id order by version desc) as age
    from silver.label_sets
)
select label_set_id, label_id, version, name, parent_id, ordinal, synonyms, export_ids, status, merged_into, valid_from
from ranked where age = 1
"""

KEPT = ("name", "parent_id", "ordinal", "status", "merged_into", "valid_from")
"""Columns of a label that its next version keeps."""

QuestionKey = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What annotation files say about their question: answers name labels, these tell what there is besides.

    Attributes:
        labels: Labels in the order of their class numbers: where the lake has none of them yet they get numbers in
            this order. There may be others.
        export_ids: Format -> label -> id that the format gives it; an id that the lake holds stays.
        geometry_kinds: Kinds of regions that there are; (): any.
        parents: Label -> what it is put below where the lake does not have it yet: another label, itself, or a name
            that is no label, as supercategories of COCO are.
        keypoints: Names of keypoints, in order.
        skeleton: Pairs of places in `keypoints`, counted from 0.
    """

    labels: tuple[str, ...] = ()
    export_ids: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)
    geometry_kinds: tuple[str, ...] = ()
    keypoints: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One version of one question.

    Attributes:
        question_id: Stable id.
        version: Counted from 1.
        title: In words; "" takes the id.
        answer_kind: value_kind of its answers; "": learnt from them.
        label_set: Set that the labels belong to; "" takes the question's id.
        labels: All labels there are, in the order of class numbers; none: labels are learnt from answers.
        synonyms: Other text -> label.
        measurement: nominal, ordinal, interval or ratio.
        abstain_allowed: Whether an actor may decline.
        instructions: What annotators were told.
        geometry_kinds: Kinds of regions that its answers have, which decide what a dataset of it is; none: any. Of a
            question with keypoints these alone.
        closed_kinds: Whether answers with regions of other kinds are rejected; else datasets leave them out.
        keypoints: Names of the keypoints of each object, in order.
        skeleton: Pairs of places in `keypoints`, from 0, that are joined by a line.
        sigmas: How far each keypoint may be off when it is scored; see
            `lakehouse.datasets.policies.keypoint_scores`.
        stated: What its files say about it.
    """

    question_id: str
    version: int = 1
    title: str = ""
    answer_kind: str = "label"
    label_set: str = ""
    labels: tuple[str, ...] = ()
    synonyms: Mapping[str, str] = field(default_factory=dict)
    measurement: str = "nominal"
    abstain_allowed: bool = True
    instructions: str = ""
    geometry_kinds: tuple[str, ...] = ()
    closed_kinds: bool = False
    keypoints: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, ...], ...] = ()
    sigmas: tuple[float, ...] = ()
    stated: Stated = Stated()

    def __post_init__(self) -> None:
        ends = [place for line in self.skeleton for place in line]
        if any(len(line) != 2 for line in self.skeleton) or any(not 0 <= end < len(self.keypoints) for end in ends):
            raise ConfigError(
                f"question {self.question_id}: skeleton is pairs of places in its {len(self.keypoints)} keypoints, "
                f"from 0; found {list(map(list, self.skeleton))}"
            )
        if len(set(self.keypoints)) < len(self.keypoints):
            raise ConfigError(f"question {self.question_id}: two keypoints have one name: {', '.join(self.keypoints)}")
        if self.sigmas and (len(self.sigmas) != len(self.keypoints) or min(self.sigmas) <= 0):
            raise ConfigError(f"question {self.question_id}: sigmas are one number above 0 for each of its keypoints")

    @property
    def constraints(self) -> dict[str, object]:
        """What it limits its answers to, as `constraints_json` has it."""
        found: dict[str, object] = {"closed": True} if self.labels else {}
        if self.closed_kinds and self.geometry_kinds:
            found[CLOSED_KINDS] = True
        if self.keypoints:
            found["keypoints"] = list(self.keypoints)
        if self.skeleton:
            found["skeleton"] = [list(line) for line in self.skeleton]
        if self.sigmas:
            found["sigmas"] = list(self.sigmas)
        return found

    @property
    def _kinds(self) -> tuple[str, ...]:
        return self.geometry_kinds or (("keypoints",) if self.keypoints else self.stated.geometry_kinds)

    @property
    def label_set_id(self) -> str | None:
        """The label set; None if answers have no labels."""
        return (self.label_set or self.question_id) if self.answer_kind in LABELLED else None

    def row(self) -> dict[str, object]:
        """The row of silver.questions."""
        return {
            "question_id": self.question_id,
            "version": self.version,
            "title": self.title or self.question_id,
            "answer_kind": self.answer_kind,
            "label_set_id": self.label_set_id,
            "cardinality": "one",
            "measurement": self.measurement,
            "abstain_allowed": self.abstain_allowed,
            "instructions": self.instructions or None,
            "geometry_kinds": list(self._kinds) or None,
            "constraints_json": canonical_json(self.constraints) if self.constraints else None,
        }


@dataclass(frozen=True, slots=True)
class Rules:
    """What an answer to one version of a question must be.

    Attributes:
        answer_kind: value_kind of its answers; "": any.
        abstain_allowed: Whether an actor may decline.
        labels: The labels there are; None: any.
        synonyms: Other text -> label.
        held: Labels that the lake has for it, declared or learnt.
        kinds: Kinds of regions that there may be; (): any.
    """

    answer_kind: str
    abstain_allowed: bool = True
    labels: frozenset[str] | None = None
    synonyms: Mapping[str, str] = field(default_factory=dict)
    held: frozenset[str] = frozenset()
    kinds: tuple[str, ...] = ()


def rules_of(lake: Lake, asked: Question | None) -> dict[QuestionKey, Rules]:
    """Return the rules of every question the lake holds, and of the one that a source asks.

    Raises:
        ConfigError: If the lake holds the asked question with another meaning.
    """
    labels = _held_labels(lake)
    rules = {}
    questions = fetch(lake, "select * from silver.questions")
    closed_sets = _closed_sets(questions)
    for row in questions:
        entries = labels.get(row["label_set_id"], {})
        closed = row["label_set_id"] in closed_sets
        key = row["question_id"], row["version"]
        rules[key] = Rules(
            row["answer_kind"],
            row["abstain_allowed"],
            frozenset(entries) if closed else None,
            _synonyms(entries),
            frozenset(entries),
            tuple(row["geometry_kinds"] or ()) if constraints_of(row["constraints_json"]).get(CLOSED_KINDS) else (),
        )
        if asked is not None and key == (asked.question_id, asked.version):
            _check_unchanged(asked, row)
    if asked is None:
        return rules
    key = asked.question_id, asked.version
    held = rules.get(key, Rules(asked.answer_kind, asked.abstain_allowed))
    if asked.label_set_id in closed_sets:
        entries = labels.get(asked.label_set_id, {})
        held = dataclasses.replace(held, labels=frozenset(entries), synonyms=_synonyms(entries))
    known = (held.labels or frozenset()) | frozenset(asked.labels)
    for text, label in asked.synonyms.items():
        if asked.labels and label not in known:
            raise ConfigError(f"question {asked.question_id}: synonym {text!r} stands for {label!r}, which is no label")
    rules[key] = Rules(
        held.answer_kind, held.abstain_allowed, known or None, {**held.synonyms, **asked.synonyms}, held.held,
        held.kinds or (asked.geometry_kinds if asked.closed_kinds else ()),
    )  # fmt: skip
    return rules


def question_rows(
    lake: Lake, asked: Question | None, kinds: Mapping[QuestionKey, set[str]], labels: Mapping[QuestionKey, set[str]]
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return the rows of silver.questions and silver.label_sets that the lake does not hold yet.

    Args:
        lake: The lake.
        asked: The question of the source; None if it is only known from records.
        kinds: Question -> kinds of the values in its answers.
        labels: Question -> labels in its answers.

    Raises:
        IngestError: If a question that nobody registered has answers of several kinds, or an answer to another
            question or version has a label that the closed set they share lacks.
        ConfigError: If the source states labels in another order than that of the numbers they have, or closes a
            label set that holds others.
    """
    held = {(row["question_id"], row["version"]): row for row in fetch(lake, "select * from silver.questions")}
    wanted: dict[QuestionKey, Question] = {}
    if asked is not None and (asked.answer_kind or asked.labels or not kinds or _key(asked) in kinds):
        # One whose kind nobody knows, in a file that answers others alone (controls of it), is not asked.
        wanted[_key(asked)] = asked
    for key in sorted({*wanted, *kinds} - set(held)):
        stated = wanted.setdefault(key, Question(question_id=key[0], version=key[1], answer_kind=""))
        if not stated.answer_kind:
            wanted[key] = dataclasses.replace(stated, answer_kind=_one_kind(key, kinds.get(key, set())))
    new = [question.row() for key, question in wanted.items() if key not in held]
    numbers, closed_sets = _held_labels(lake), _closed_sets([*held.values(), *new])
    if asked is not None and asked.labels and asked.label_set_id is not None:
        is_new = (asked.question_id, asked.version) not in held
        _check_stated(asked, numbers.get(asked.label_set_id, {}), is_new=is_new)
    sets: dict[str, tuple[list[str], dict[str, str]]] = {}
    for key in sorted({*wanted, *labels}):
        question = wanted.get(key)
        row = held.get(key) or (question.row() if question else None)
        set_id = None if row is None else row["label_set_id"]
        if set_id is None:
            continue
        names, synonyms = sets.setdefault(str(set_id), ([], {}))
        names.extend(question.labels if question else ())
        if set_id not in closed_sets:
            names.extend(question.stated.labels if question else ())
        else:
            _check_closed(key, str(set_id), {*numbers.get(str(set_id), {}), *names}, labels.get(key, set()))
        names.extend(sorted(labels.get(key, ()), key=_by_number))
        synonyms.update(question.synonyms if question else {})
    return new, [
        row for set_id, (names, others) in sets.items()
        for row in _new_entries(
            numbers.get(set_id, {}), set_id, names, others, asked if asked and asked.label_set_id == set_id else None
        )
    ]  # fmt: skip


def differing_ids(lake: Lake, asked: Question) -> list[str]:
    """Return, in words, the ids of labels that files give otherwise than the lake holds them: its own stay."""
    held = _held_labels(lake).get(str(asked.label_set_id), {})
    return [
        f"{name} gives {label} the id {export_id}, the lake holds {known[name]}, which stays"
        for name, ids in asked.stated.export_ids.items()
        for label, export_id in ids.items()
        if (known := _ids(held.get(label))).get(name, export_id) != export_id
    ]


def differing_parents(lake: Lake, asked: Question) -> list[str]:
    """Return, in words, the labels that files put below something else than the lake does: there they stay."""
    held = _held_labels(lake).get(str(asked.label_set_id), {})
    return [
        f"{label} is below {above!r} in the files and {known['parent_id']!r} in the lake, where it stays"
        for label, above in asked.stated.parents.items()
        if (known := held.get(label)) is not None and known["parent_id"] != above
    ]


def _key(question: Question) -> QuestionKey:
    return question.question_id, question.version


def _one_kind(key: QuestionKey, kinds: set[str]) -> str:
    stated = sorted(kinds - {"none"})
    if len(stated) > 1:
        raise IngestError(
            f"question {key[0]} version {key[1]}: answers of kinds {' and '.join(stated)}; a question has one "
            "kind of answer: give the others a question of their own"
        )
    return stated[0] if stated else "label"


def _closed_sets(questions: Iterable[Mapping[str, object]]) -> frozenset[str]:
    """Closed for one question, or version of one, is closed for all that share the set: no answer adds to it."""
    closed = (row["label_set_id"] for row in questions if is_closed(row["constraints_json"]))
    return frozenset(str(set_id) for set_id in closed if set_id is not None)


def _check_closed(key: QuestionKey, set_id: str, known: Collection[str], labels: Collection[str]) -> None:
    unknown = sorted(set(labels) - set(known))
    if unknown:
        raise IngestError(
            f"question {key[0]} version {key[1]}: label {unknown[0]!r} is not in label set `{set_id}`, which is "
            "closed: state it in the `labels` of a source, as the last, or give the question another label_set"
        )


def _by_number(label: str) -> tuple[bool, int, str]:
    """Sort whole numbers by value, before other labels by code point: of 0 to 11 label k gets number k."""
    is_number = label.isascii() and label.isdigit()
    return not is_number, len(label.lstrip("0")) if is_number else 0, label


def _check_stated(asked: Question, held: Mapping[str, Mapping[str, Any]], *, is_new: bool) -> None:
    """Refuse labels whose order is not that of their numbers: a class number is given once."""
    numbered = sorted((int(entry["ordinal"]), label) for label, entry in held.items())
    known = [label for label in asked.labels if label in held]
    told = (
        f"question {asked.question_id}: labels are stated as {', '.join(asked.labels)}; label set "
        f"`{asked.label_set_id}` holds {', '.join(f'{label} as number {number}' for number, label in numbered)}"
    )
    if asked.labels[: len(known)] != tuple(known) or known != [label for _, label in numbered if label in known]:
        raise ConfigError(
            f"{told}; numbers never change: state the labels in that order, new ones last, or give the question a "
            "label_set of another name"
        )
    others = [label for _, label in numbered if label not in known]
    if is_new and others:
        raise ConfigError(
            f"{told}; {others[0]!r} would be an answer too: state all of them, or give the question a label_set of "
            "another name"
        )


def _new_entries(
    held: Mapping[str, Mapping[str, Any]], set_id: str, names: Iterable[str], synonyms: Mapping[str, str],
    asked: Question | None,
) -> Iterable[dict[str, object]]:  # fmt: skip
    place = max((entry["ordinal"] for entry in held.values()), default=-1) + 1
    others: dict[str, set[str]] = {}
    for text, label in synonyms.items():
        others.setdefault(label, set()).add(text)
    for label in dict.fromkeys([*names, *others]):
        entry = held.get(label)
        known = set((entry or {}).get("synonyms") or ())
        wanted = sorted(known | others.get(label, set()))
        ids = _ids(entry)
        stated = asked.stated.export_ids if asked is not None else {}
        new_ids = {name: given[label] for name, given in stated.items() if label in given} | ids
        if entry is not None and set(wanted) == known and new_ids == ids:
            continue
        kept = {} if entry is None else {name: entry[name] for name in KEPT}
        yield {
            "label_set_id": set_id,
            "label_id": label,
            "name": label,
            "parent_id": asked.stated.parents.get(label) if asked is not None else None,
            "ordinal": place,
            "status": "active",
            **kept,
            "version": 1 if entry is None else entry["version"] + 1,
            "synonyms": wanted or None,
            "export_ids": new_ids or None,
        }
        place += entry is None


def _ids(entry: Mapping[str, Any] | None) -> dict[str, str]:
    # Arrow hands out a map as a list of pairs.
    return dict((entry or {}).get("export_ids") or ())


def _held_labels(lake: Lake) -> dict[str, dict[str, dict[str, Any]]]:
    held: dict[str, dict[str, dict[str, Any]]] = {}
    for row in fetch(lake, HELD_LABELS):
        held.setdefault(row["label_set_id"], {})[row["label_id"]] = row
    return held


def _synonyms(entries: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """Return text -> label: synonyms and names. A merged label stays what was said: views know what stands for it."""
    found = {}
    for label, entry in entries.items():
        others = entry["synonyms"]
        for text in [str(entry["name"]), *(others if isinstance(others, list) else [])]:
            if text not in entries:
                found[text] = label
    return found


def _check_unchanged(asked: Question, held: Mapping[str, object]) -> None:
    stated = asked.row()
    names = ["measurement", "abstain_allowed"]
    names += ["answer_kind", "label_set_id"] if asked.answer_kind else []
    names += ["title"] if asked.title else []
    names += ["instructions"] if asked.instructions else []
    names += ["geometry_kinds"] if asked.geometry_kinds or asked.keypoints else []
    limits = constraints_of(held["constraints_json"])
    # Kinds are compared themselves, below.
    changed = [key for key, value in asked.constraints.items() if limits.get(key) != value and key != CLOSED_KINDS]
    if changed:
        names.append("constraints_json")
    for name in names:
        if stated[name] != held[name]:
            raise ConfigError(
                f"question {asked.question_id} version {asked.version}: {name} is {held[name]!r} in this lake, "
                f"this source says {stated[name]!r}; a changed meaning is a new version: set question_version = "
                f"{asked.version + 1}"
            )
