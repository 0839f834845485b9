"""Answers about what was made of an entity, from those about the entity: the function that both engines map over."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.carrying.regions import Pairs, moved
from lakehouse.errors import RejectedInputError
from lakehouse.home import Root
from lakehouse.opinions.exporting.answers import answer_of
from lakehouse.opinions.matching.frames import Picture, picture_of
from lakehouse.opinions.reading.answer import Answer, Frame, Note, Region
from lakehouse.opinions.reading.answer_rows import ITEMS, answer_row, note_texts
from lakehouse.opinions.reading.check import noted
from lakehouse.opinions.reading.packed import batch_of, rows_of
from loaders.decoding.placement import Placement, placed_by
from schemas.canonical import content_id

ORIGIN, HOW, THROUGH, PAIRED = "carried_from", "carried_by", "carried_through", "keypoint_pairs"
"""Keys of `ext`: the opinion that it repeats, the operation with its parameters, the entities that it came
by; of one with keypoints the pairs that were told to change places in a mirror."""

MATCH = "sha256"
AS_THEY_ARE = ("label", "labels", "number", "text", "bool", "ranking", "none")
LINES = 1 << 20
"""Items that one pair may make: an answer, or retractions."""


def carried_batches(
    batches: Iterator[pa.RecordBatch], *, root: Root, how: str, pairs: Pairs, max_bytes: int
) -> Iterator[pa.RecordBatch]:
    """Yield `ITEMS`: the answer of each pair, the retractions of what stands for nothing any more, and notes.

    Args:
        batches: Rows of `step.TODO`.
        root: The lake.
        how: Operation and parameters.
        pairs: Keypoints that change places in a mirror.
        max_bytes: A picture file that is larger is not read for its size.
    """
    for batch in batches:
        found = [row for each in rows_of(batch) for row in _items(each, root, how, pairs, max_bytes)]
        yield batch_of(found, ITEMS)


def _items(row: dict[str, Any], root: Root, how: str, pairs: Pairs, max_bytes: int) -> Iterator[dict[str, object]]:
    places = iter(range(row["place"] * LINES, (row["place"] + 1) * LINES))
    replaced = sorted(row["replaced"] or ())
    if row["opinion_id"] is not None:
        try:
            answer = _carried(row, root, how, pairs, max_bytes, replaced)
            yield _row(answer, next(places))
            return
        except RejectedInputError as error:
            where = f"opinion {row['opinion_id']} on {row['child_id']}"
            note = Note(where, f"not_carried_{error.rule}", f"{where}: {error.reason}")
            yield _note(note, next(places))
    for target in replaced:
        yield _row(_taken_back(row, target, how), next(places))


def _carried(
    row: dict[str, Any], root: Root, how: str, pairs: Pairs, max_bytes: int, replaced: Sequence[str]
) -> Answer:
    said = answer_of(row)
    through = said.ext.get(THROUGH, "").split()
    ext = {name: text for name, text in said.ext.items() if name not in ("flags", "taken_back", PAIRED)}
    ext |= {ORIGIN: row["opinion_id"], HOW: how, THROUGH: " ".join([*through, row["subject_id"]])}
    answer = dataclasses.replace(
        said,
        subject_key=row["child_id"],
        opinion_id=content_id(["carried", row["opinion_id"], row["child_id"], how, row["times"]]),
        supersedes=tuple(replaced),
        source_key=None,
        raw_json=None,
        ext=ext,
        where=f"opinion {row['opinion_id']} on {row['child_id']}",
    )
    if said.value_kind in AS_THEY_ARE:
        return answer
    if said.value_kind != "regions" or not isinstance(said.value, tuple):
        raise RejectedInputError(said.value_kind, f"{said.value_kind}: nothing says where they are in what was made")
    placement, picture = _placement(row, said.frame, root, max_bytes)
    found = moved([each for each in said.value if isinstance(each, Region)], placement, pairs)
    notes = {}
    if found.cut:
        notes["cut_at_border"] = f"{found.cut} regions reach beyond what was made, and were cut"
    if found.gone:
        notes["left_outside"] = f"{found.gone} regions lie outside of what was made, and were left out"
    if any(isinstance(each, Region) and each.kind == "keypoints" for each in said.value):
        ext[PAIRED] = pairs_text(pairs)
    frame = Frame(picture.width, picture.height)
    return noted(dataclasses.replace(answer, value=found.regions, frame=frame, ext=ext), notes)


def pairs_text(pairs: Pairs) -> str:
    """Return pairs of keypoints in one text, the same in whatever order they were told."""
    return ",".join(f"{one}-{other}" for one, other in sorted(tuple(sorted(each)) for each in pairs)) or "none"


def _placement(row: Mapping[str, Any], frame: Frame, root: Root, max_bytes: int) -> tuple[Placement | None, Picture]:
    if row["affine"] is None:
        raise RejectedInputError("no_map", "the transform does not say where pixels went")
    parent, child = (_picture(row, name, root, max_bytes) for name in ("parent", "child"))
    if child.orientation not in (None, 1):
        raise RejectedInputError("turned_by_exif", f"what was made has EXIF orientation {child.orientation}")
    stated = frame.width or parent.width, frame.height or parent.height
    if stated != (parent.width, parent.height):
        raise RejectedInputError(
            "other_frame",
            f"says that its picture has {stated[0]} x {stated[1]} px, it has {parent.width} x {parent.height} px",
        )
    affine = np.array(row["affine"], np.float64).reshape(2, 3)
    # Derivations map whole pixels, geometry counts from their corners: centres lie at half numbers.
    affine[:, 2] += 0.5 - affine[:, :2].sum(axis=1) / 2
    canvas = child.height, child.width
    try:
        return placed_by(affine, parent.height, parent.width, canvas, orientation=parent.orientation or 1), child
    except ValueError as error:
        raise RejectedInputError("not_along_axes", str(error)) from error


def _picture(row: Mapping[str, Any], name: str, root: Root, max_bytes: int) -> Picture:
    columns = ("width", "height", "orientation", "object_uri")
    found = picture_of({each: row[f"{name}_{each}"] for each in columns}, root, max_bytes)
    if found is None:
        raise RejectedInputError("size_unknown", f"the header of the {name} cannot be read")
    return found


def _taken_back(row: Mapping[str, Any], target: str, how: str) -> Answer:
    return Answer(
        op="retract", value_kind="none", actor_id=row["actor_id"], question_id=row["question_id"],
        question_version=row["question_version"], subject_key=row["child_id"], subject_kind=row["subject_kind"],
        slot=row["slot"], event_time_source="unknown", target_opinion_id=target,
        opinion_id=content_id(["carried back", target]), ext={HOW: how}, where=f"opinion {target}",
        reason="what it was carried over from does not hold any more",
    )  # fmt: skip


def _row(answer: Answer, line: int) -> dict[str, object]:
    return _empty(line) | answer_row(answer, identity=answer.opinion_id, match=MATCH)


def _note(note: Note, line: int) -> dict[str, object]:
    return _empty(line) | {"kind": "note", "location": note.where, "notes": note_texts({note.rule: note.text})}


def _empty(line: int) -> dict[str, object]:
    return dict.fromkeys(ITEMS.names) | {"part": 0, "line": line}
