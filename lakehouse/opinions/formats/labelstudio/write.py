"""Writing Label Studio's JSON: everybody's answers, as tasks with annotations and predictions.

An annotation that came from Label Studio and still says the same is written back as it was: what its record holds and
we do not read survives. Every other answer is made anew of what it says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.formats.labelstudio import shapes
from lakehouse.opinions.formats.labelstudio.meaning import (
    Context,
    Control,
    control_of,
    grouped,
    heads,
    is_beside,
    sizes_of,
    value_of,
)
from lakehouse.opinions.formats.labelstudio.results import Naming, Result, results_of
from lakehouse.opinions.formats.losing import Loss
from lakehouse.opinions.formats.writer import Ontology, Place, Said, Writer
from lakehouse.opinions.matching.turning import turned_back, turned_upright
from lakehouse.opinions.reading.answer import Answer, Region, Value
from lakehouse.opinions.reading.json_fields import objects_in

HOLDS = ("label", "labels", "number", "text", "regions", "spans", "ranking")
SIDES = {"annotation": "annotations", "prediction": "predictions", "draft": "drafts"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelStudioWriting:
    """Options of writing Label Studio's JSON.

    Attributes:
        control: Control (`from_name`) of answers that came from elsewhere; "" takes their question.
        object: Object (`to_name`) that they are about; "" takes the kind of their subject.
        data_key: Key of the task's data that names the subject, where it came from elsewhere; "" as `object`.
        prefix: Put before the name of such a subject, for example "/data/local-files/?d=".
        actor_prefix: As for reading: what people of a server are called by.
        model: As for reading: a model of this name has its version alone in `model_version`.
    """

    control: str = ""
    object: str = ""
    data_key: str = ""
    prefix: str = ""
    actor_prefix: str = "human:labelstudio-"
    model: str = "labelstudio"


def lost_in_labelstudio(said: Said, options: LabelStudioWriting) -> Iterator[Loss]:
    """Yield what Label Studio has no place for; nothing of what goes back as it came."""
    if _as_it_came([said]) is not None:
        return
    answer, name = said.answer, said.subject.name
    for field in ("probs", "value_ref", "supersedes"):
        if value := getattr(answer, field):
            yield field, f"{name}: {field} = {value}"
    if answer.votes != 1:
        yield "votes", f"{name}: {answer.votes} votes"
    if answer.slot not in ("", "draft"):
        yield "slot", f"{name}: slot {answer.slot}"
    if answer.confidence is not None and _side(answer) != "prediction":
        yield "confidence", f"{name}: confidence {answer.confidence} of a person"
    if not answer.actor_id.startswith(("human:", "model:")):
        yield "actor", f"{name}: {answer.actor_id} is written as a prediction of that name"
    if answer.op == "assert":
        for error in _results(said, options, Ontology())[1]:
            yield error.rule, f"{name}: {error.reason}; it is not written"
    for each in said.regions:
        if len(each.part_sizes or ()) > 1:
            yield "part_sizes", f"{name}: parts of a {each.kind} become regions of their own"


def says_nothing_there(said: Said, options: LabelStudioWriting) -> bool:
    """Return whether an answer has something, and Label Studio would have nothing of it."""
    if said.answer.op != "assert" or _as_it_came([said]) is not None:
        return False
    found, lost = _results(said, options, Ontology())
    return bool(lost) and not found


def write_labelstudio(
    said: Iterable[Said], place: Place, ontology: Ontology, options: LabelStudioWriting
) -> None:
    """Write one list of tasks, one for each subject (of two tasks about one subject: both)."""
    place.write("", _pieces(said, ontology, options))


def _pieces(said: Iterable[Said], ontology: Ontology, options: LabelStudioWriting) -> Iterator[bytes]:
    start = b"[\n"
    for _, group in groupby(said, key=lambda each: each.subject.entity_id):
        tasks: dict[object, list[Said]] = {}
        for each in group:
            tasks.setdefault(_raw(each.answer).get("task", {}).get("id"), []).append(each)
        for mine in tasks.values():
            yield start + json.dumps(_task(mine, ontology, options), ensure_ascii=False).encode()
            start = b",\n"
    yield b"]\n" if start == b",\n" else b"[]\n"


def _task(said: Sequence[Said], ontology: Ontology, options: LabelStudioWriting) -> dict[str, object]:
    came = next((raw["task"] for each in said if "task" in (raw := _raw(each.answer))), None)
    made: dict[str, object] = {**came} if came is not None else {"data": _data(said[0], options)}
    sides: dict[str, list[dict[str, object]]] = {"annotations": [], "predictions": []}
    units: dict[tuple[str, object], list[Said]] = {}
    for each in said:
        answer = each.answer
        key = answer.source_key or (answer.actor_id, answer.slot, answer.event_time, answer.op)
        units.setdefault((_side(answer), key), []).append(each)
    for (side, _), mine in units.items():
        record = _as_it_came(mine) or _record(side, mine, ontology, options)
        sides.setdefault(SIDES[side], []).append(record)
    return {**made, **sides}


def _record(
    side: str, said: Sequence[Said], ontology: Ontology, options: LabelStudioWriting
) -> dict[str, object]:
    answer = said[0].answer
    results: list[Result] = []
    for each in said:
        if each.answer.op == "assert":
            # What is not among them was told as a loss before anything was written.
            results += _results(each, options, ontology)[0]
    number = (answer.source_key or "").rpartition(" ")[2]
    record: dict[str, object] = {"id": int(number)} if number.isdecimal() else {}
    record["result"] = results
    if answer.event_time is not None:
        at = answer.event_time.isoformat().replace("+00:00", "Z")
        record |= {"created_at": answer.ext.get("created_at", at), "updated_at": at}
    if side == "prediction":
        record["model_version"] = _model_version(answer, options)
        if answer.confidence is not None:
            record["score"] = answer.confidence
        return record
    record["completed_by"] = _person(answer, options)
    if side == "annotation":
        record |= {"was_cancelled": answer.op == "abstain", "ground_truth": answer.ext.get("ground_truth") == "true"}
    if "lead_time" in answer.ext:
        record["lead_time"] = float(answer.ext["lead_time"])
    return record


def _as_it_came(said: Sequence[Said]) -> dict[str, object] | None:
    """Return the record that an annotation came as, if it still says what is said by now; else None.

    Of an annotation that answers several controls, results of those whose answers are not among `said` are left out.
    """
    answer = said[0].answer
    record = _raw(answer).get(_side(answer))
    if not isinstance(record, dict):
        return None
    results = objects_in(record, "result")
    if bool(record.get("was_cancelled")) != (answer.op == "abstain"):
        return None
    if answer.op == "abstain":
        return record
    text = _text(said[0])
    for each in said:
        if not _says(each.answer, results, text):
            return None
    mine = {name for each in said for name in _names(each.answer)}
    kept = {id(result) for group in grouped(results) if any(control_of(each) in mine for each in heads(group))
            for result in group}  # fmt: skip
    if len(kept) + sum(map(is_beside, results)) == len(results):
        return record
    return {**record, "result": [each for each in results if id(each) in kept]}


def _says(answer: Answer, results: Sequence[dict[str, object]], text: str | None) -> bool:
    control = Control(
        answer.ext.get("control", ""), answer.value_kind, answer.ext.get("object", ""),
        parts=frozenset(_names(answer)) - {answer.ext.get("control", "")},
    )  # fmt: skip
    try:
        sizes = sizes_of(results)
        if not sizes and answer.frame.width and answer.frame.height:
            sizes = {control.of: (answer.frame.width, answer.frame.height)}
        found = value_of(control, results, Context(answer.subject_kind, text, sizes))
    except RejectedInputError:
        return False
    return answer.value in (found, _turned(found, answer))


def _turned(value: Value, answer: Answer) -> Value:
    """Return the regions of an upright picture as they lie in the stored one, where those of the answer were turned."""
    frame = answer.frame
    if not (isinstance(value, tuple) and (frame.exif_orientation or 1) >= 5 and frame.width and frame.height):
        return value
    regions = [each for each in value if isinstance(each, Region)]
    return tuple(turned_back(each, frame.width, frame.height, frame.exif_orientation or 1) for each in regions)


def _seen(said: Said) -> tuple[Value, shapes.Size | None]:
    """Return the value and size of the picture as Label Studio shows it: upright."""
    answer, (width, height) = said.answer, said.size
    orientation = answer.frame.exif_orientation or said.subject.orientation or 1
    if answer.value_kind != "regions" or width is None or height is None:
        return answer.value, None
    if orientation < 5 or not isinstance(answer.value, tuple):
        return answer.value, (width, height)
    return tuple(turned_upright(each, width, height, orientation) for each in said.regions), (height, width)


def _results(
    said: Said, options: LabelStudioWriting, ontology: Ontology
) -> tuple[list[Result], list[RejectedInputError]]:
    return results_of(said.answer.value_kind, _seen(said)[0], _naming(said, options, ontology))


def _naming(said: Said, options: LabelStudioWriting, ontology: Ontology) -> Naming:
    answer = said.answer
    return Naming(
        control=answer.ext.get("control") or options.control or answer.question_id,
        of=answer.ext.get("object") or options.object or answer.subject_kind,
        size=_seen(said)[1],
        text=_text(said),
        ontology=ontology,
    )


def _names(answer: Answer) -> list[str]:
    return [answer.ext.get("control", ""), *answer.ext.get("parts", "").split("\n")]


def _side(answer: Answer) -> str:
    stated = answer.ext.get("labelstudio")
    if stated in SIDES:
        return str(stated)
    if answer.slot == "draft":
        return "draft"
    return "annotation" if answer.actor_id.startswith("human:") else "prediction"


def _person(answer: Answer, options: LabelStudioWriting) -> object:
    number = answer.actor_id.removeprefix(options.actor_prefix)
    if number != answer.actor_id:
        return int(number) if number.isdecimal() else {"email": number}
    return {"username": answer.actor_id.partition(":")[2]}


def _model_version(answer: Answer, options: LabelStudioWriting) -> str:
    kind, _, name = answer.actor_id.partition(":")
    if kind != "model":
        return answer.actor_id
    return name.removeprefix(f"{options.model}@")


def _data(said: Said, options: LabelStudioWriting) -> dict[str, object]:
    text = _text(said)
    key = options.data_key or options.object or said.answer.subject_kind
    if said.answer.subject_kind == "text" and text is not None:
        return {"text": text} if not options.data_key else {"text": text, key: options.prefix + said.subject.name}
    return {key: options.prefix + said.subject.name}


def _text(said: Said) -> str | None:
    """Return the text that spans lie in: of the task that they came from, else the bytes of the subject."""
    data = _raw(said.answer).get("task", {}).get("data", {})
    text = data.get("text") if isinstance(data, dict) else None
    if isinstance(text, str):
        return text
    if said.answer.subject_kind != "text" or said.subject.content is None:
        return None
    try:
        return said.subject.content().decode("utf-8")
    except UnicodeDecodeError:
        return None


def _raw(answer: Answer) -> dict[str, dict[str, object]]:
    """Return the task and the annotation that an answer came from; {} of another format."""
    if "labelstudio" not in answer.ext or answer.raw_json is None:
        return {}
    found = json.loads(answer.raw_json)
    return found if isinstance(found, dict) else {}


LABELSTUDIO_WRITER = Writer(
    LabelStudioWriting, HOLDS, lost_in_labelstudio, write_labelstudio, one_each=False, abstains=True, several=True,
    left_out=says_nothing_there,
)
