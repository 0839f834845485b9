"""Reading Label Studio's JSON: a list of tasks, each with the answers of people (annotations) and of models.

An annotation is one person's whole answer; each control of the labelling interface in it is a question. A skip
(`was_cancelled`) abstains from all of them. An annotation without a region says that nothing is there.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.formats.common import reject
from lakehouse.opinions.formats.labelstudio.controls import controls_of, question_of
from lakehouse.opinions.formats.labelstudio.meaning import (
    Context,
    Control,
    frame_of,
    is_beside,
    sizes_of,
    value_of,
)
from lakehouse.opinions.formats.labelstudio.options import LabelStudioOptions
from lakehouse.opinions.reading import values as parse
from lakehouse.opinions.reading.answer import Answer, Frame, Item, Note, Value
from lakehouse.opinions.reading.json_fields import Object, as_object, as_text, objects_in, read_json, text_in

SIDES = ("annotations", "predictions", "drafts")
INSIDE_TASK = (*SIDES, "completions")
"""Keys of a task that hold answers; the rest describes it."""


@dataclass(frozen=True, slots=True)
class Whose:
    """One annotation, prediction or draft of a task.

    Attributes:
        side: annotations, predictions or drafts.
        task: The task without its answers.
        record: The annotation.
        where: File, task and annotation, for messages.
    """

    side: str
    task: Object
    record: Object
    where: str


def read_labelstudio(path: Path, part: str, options: LabelStudioOptions) -> Iterator[Item]:
    """Give an answer or a reject for each control of each annotation and prediction, and notes.

    A file is read as a whole: which controls there are, all its tasks tell.
    """
    file = path / part if part else path
    try:
        tasks = _tasks(read_json(file))
    except RejectedInputError as error:
        yield reject(file.name, error.rule, error.reason)
        return
    found: list[Whose] = []
    counts = dict.fromkeys(("drafts", "unlabelled", "unread_predictions", "relations"), 0)
    rejects: list[Item] = []
    for place, task in enumerate(tasks, start=1):
        where = f"{file.name}: task {task.get('id', place) if isinstance(task, Mapping) else place}"
        try:
            mine = list(_answers_in(as_object(task, "task"), where, options, counts))
        except RejectedInputError as error:
            rejects.append(reject(where, error.rule, error.reason, json.dumps(task, ensure_ascii=False)))
            continue
        counts["unlabelled"] += not mine
        found += mine
    yield from rejects
    controls = controls_of((each.record for each in found), options)
    names = [each.name for each in controls]
    spoken = _spoken(found, options)
    for each in found:
        yield from answers_of(each, controls, options, spoken)
    yield from _notes(file.name, names, counts, options)


def answers_of(
    whose: Whose, controls: list[Control], options: LabelStudioOptions, spoken: Mapping[str, Collection[str]]
) -> Iterator[Item]:
    """Yield what one annotation says to each control: answers, abstentions and rejects.

    Args:
        whose: The annotation.
        controls: All of the file.
        options: Of reading.
        spoken: Model -> controls that it has results for anywhere in the file. A person submits the whole interface,
            and marking nothing says that nothing is there; a model says so of what it looks for.
    """
    raw = _raw(whose)
    try:
        common = _common(whose, options)
        results = objects_in(whose.record, "result")
        sizes = sizes_of(results) or sizes_of(objects_in(whose.task, "_results"))
        context = Context(options.subject_kind, _text(whose.task, options), sizes)
    except RejectedInputError as error:
        yield reject(whose.where, error.rule, error.reason, raw)
        return
    if whose.record.get("was_cancelled") and whose.side == "annotations":
        for name, question in _asked(controls, options):
            yield dataclasses.replace(common, op="abstain", value_kind="none", question_id=question, ext={
                **common.ext, "control": name
            })  # fmt: skip
        return
    if not controls:
        rule = "no_control"
        text = "has no result, and nothing in the file tells what was asked; set empty = regions if that says nothing"
        yield reject(whose.where, rule, text, raw)
        return
    for control in controls:
        try:
            value = value_of(control, results, context)
        except RejectedInputError as error:
            yield reject(f"{whose.where}, {control.name}", error.rule, error.reason, raw)
            continue
        mine = spoken.get(common.actor_id, ()) if whose.side == "predictions" else (control.name,)
        if value is not None and not (value == () and len(controls) > 1 and control.name not in mine):
            yield _answer(common, control, value, context, question_of(control.name, controls, options), raw, options)


def _spoken(found: Sequence[Whose], options: LabelStudioOptions) -> dict[str, set[str]]:
    spoken: dict[str, set[str]] = {}
    for each in found:
        if each.side == "predictions":
            names = {control.name for control in controls_of([each.record], options)}
            spoken.setdefault(actor_of(each.side, each.record, options), set()).update(names)
    return spoken


def _tasks(document: object) -> list[object]:
    tasks = document if isinstance(document, list) else [document]
    for task in tasks[:1]:
        if isinstance(task, dict) and "data" not in task:
            small = "annotation_id" in task or "annotator" in task
            hint = "; it is Label Studio's JSON_MIN, which lacks controls and predictions: export JSON" if small else ""
            raise RejectedInputError("not_labelstudio", f"holds no tasks with `data`{hint}")
    return tasks


def _answers_in(
    task: dict[str, object], where: str, options: LabelStudioOptions, counts: dict[str, int]
) -> Iterator[Whose]:
    annotations = objects_in(task, "annotations") or objects_in(task, "completions")
    drafts = objects_in(task, "drafts")
    predictions = _predictions(task, annotations, counts)
    counts["drafts"] += len(drafts)
    everything = [*annotations, *predictions, *drafts]
    results = [each for record in everything for each in objects_in(record, "result")]
    counts["relations"] += sum(map(is_beside, results))
    plain: dict[str, object] = {key: value for key, value in task.items() if key not in INSIDE_TASK}
    sizes = [each for each in results if "original_width" in each][:1]
    if sizes:
        # For results that state no size themselves; not part of the task.
        plain["_results"] = sizes
    for side, records in (("annotations", annotations), ("predictions", predictions), ("drafts", drafts)):
        if side != "drafts" or options.drafts:
            for place, record in enumerate(records, start=1):
                yield Whose(side, plain, record, f"{where}, {side.removesuffix('s')} {record.get('id', place)}")


def _predictions(
    task: Object, annotations: list[dict[str, object]], counts: dict[str, int]
) -> list[dict[str, object]]:
    """Return the predictions of a task; plain exports have their numbers alone, and one inside each annotation."""
    listed = task.get("predictions") or []
    if not isinstance(listed, list):
        raise RejectedInputError("wrong_type", "predictions must be a list")
    inside = {str(each["id"]): each for record in annotations
              if isinstance(each := record.get("prediction"), dict) and "id" in each}  # fmt: skip
    found = []
    for each in listed:
        if isinstance(each, dict):
            found.append(each)
        elif str(each) in inside:
            found.append(inside[str(each)])
        else:
            counts["unread_predictions"] += 1
    return found


def _common(whose: Whose, options: LabelStudioOptions) -> Answer:
    record, task = whose.record, whose.task
    said_at = text_in(record, "updated_at") or text_in(record, "created_at")
    time = parse.instant(said_at, "updated_at") if said_at else None
    score = record.get("score") if whose.side == "predictions" else None
    confidence = float(score) if isinstance(score, int | float) and 0 <= score <= 1 else None
    ext = {"labelstudio": whose.side.removesuffix("s")}
    if score is not None and confidence is None:
        ext["score"] = str(score)
    for name in ("lead_time", "created_at", "unique_id"):
        if record.get(name) is not None:
            ext[name] = str(record[name])
    if record.get("ground_truth") is True:
        ext["ground_truth"] = "true"
    identity = record.get("id")
    return Answer(
        actor_id=actor_of(whose.side, record, options),
        question_id=options.question,
        question_version=options.question_version,
        subject_key=_subject(task, options),
        subject_kind=options.subject_kind,
        slot="draft" if whose.side == "drafts" else options.slot,
        confidence=confidence,
        event_time=time,
        event_time_source="source" if time else "unknown",
        source_key=None if identity is None else _source_key(whose.side, str(identity)),
        source_version=text_in(record, "updated_at"),
        ext=ext,
        raw_json=_raw(whose) if options.keep_raw else None,
        where=whose.where,
    )


def _answer(
    common: Answer, control: Control, value: Value, context: Context, question: str, raw: str,
    options: LabelStudioOptions,
) -> Answer:  # fmt: skip
    size = frame_of(control, context)
    kind = "label" if control.kind == "none" else control.kind
    notes = {}
    if kind == "spans" and '"globalOffsets"' in raw:
        notes["rendered_text"] = "places its spans in the text as it was rendered, which the file does not hold"
    return dataclasses.replace(
        common,
        question_id=question,
        value_kind=kind,
        value=value,
        frame=Frame(*size) if size and kind == "regions" else Frame(),
        ext={
            **common.ext,
            "control": control.name,
            "object": control.of,
            **({"parts": "\n".join(sorted(control.parts))} if control.parts else {}),
        },
        notes=notes,
    )


def actor_of(side: str, record: Object, options: LabelStudioOptions) -> str:
    """Return who an annotation, prediction or draft is of.

    A person is a number (`completed_by`), or an object with number and e-mail: the number counts, so that both forms
    of an export name one actor. An object with neither, as we write people of no server, has the name itself.
    """
    if side == "predictions":
        version = str(record.get("model_version") or "").strip()
        name, _, rest = version.partition("@")
        return f"model:{version}" if name and rest else f"model:{options.model}@{version or 'unknown'}"
    who = record.get("completed_by", record.get("user"))
    if isinstance(who, Mapping):
        email, number = who.get("email"), who.get("id")
        if email is None and number is None and who.get("username"):
            return f"human:{who['username']}"
        for key in (number, email):
            if key is not None and str(key) in options.users:
                return options.users[str(key)]
        who = email if number is None else number
    if who is None:
        return options.actor
    return options.users.get(str(who)) or f"{options.actor_prefix}{who}"


def _subject(task: Object, options: LabelStudioOptions) -> str:
    data = as_object(task.get("data"), "data")
    if options.data_key:
        found = data.get(options.data_key)
        return parse.check_text(str(found), options.data_key) if found is not None else ""
    if options.subject_kind == "text":
        text = _text(task, options)
        if text is None:
            raise RejectedInputError("no_text", "its data has no text; set text_key, or data_key for what names it")
        return hashlib.sha256(text.encode()).hexdigest()
    texts = [key for key, value in data.items() if isinstance(value, str)]
    named = [key for key in texts if key == options.subject_kind]
    if len(named or texts) != 1:
        raise RejectedInputError(
            "no_subject", f"its data has {', '.join(sorted(texts)) or 'no text'}: which names the subject? Set data_key"
        )
    return parse.check_text(as_text(data[(named or texts)[0]], "data"), "data")


def _text(task: Object, options: LabelStudioOptions) -> str | None:
    found = as_object(task.get("data"), "data").get(options.text_key or "text")
    return found if isinstance(found, str) else None


def _source_key(side: str, identity: str) -> str:
    return identity if side == "annotations" else f"{side.removesuffix('s')} {identity}"


def _raw(whose: Whose) -> str:
    task = {key: value for key, value in whose.task.items() if key != "_results"}
    return json.dumps({"task": task, whose.side.removesuffix("s"): whose.record}, ensure_ascii=False)


def _asked(controls: list[Control], options: LabelStudioOptions) -> Iterator[tuple[str, str]]:
    if not controls:
        yield "", options.question
    for control in controls:
        yield control.name, question_of(control.name, controls, options)


def _notes(file: str, controls: list[str], counts: Mapping[str, int], options: LabelStudioOptions) -> Iterator[Note]:
    if len(controls) > 1:
        shown = ", ".join(sorted(controls))
        yield Note(file, "controls", f"has controls {shown}: each is a question; name it with controls.NAME = question")
    if counts["drafts"] and not options.drafts:
        yield Note(file, "drafts_not_read", f"has {counts['drafts']} drafts, which are no answers yet (drafts = true)")
    if counts["unlabelled"]:
        yield Note(file, "not_labelled", f"has {counts['unlabelled']} tasks that nobody has answered")
    if counts["unread_predictions"]:
        text = f"names {counts['unread_predictions']} predictions by number alone: export with predictions in full"
        yield Note(file, "predictions_not_in_file", text)
    if counts["relations"]:
        yield Note(file, "relations", f"has {counts['relations']} relations between regions, kept in raw_json alone")
