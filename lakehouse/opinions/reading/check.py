"""What an answer must be before it can become an opinion."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from operator import itemgetter

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.actors import actor_from
from lakehouse.opinions.questions import QuestionKey, Rules
from lakehouse.opinions.reading.answer import OPS, Answer, Region
from lakehouse.opinions.reading.label_text import MISSING, plain_label
from schemas.opinions import VALUE_COLUMNS

PROBABILITY_TOLERANCE = 0.01
"""How far probabilities may be from adding up to 1: files write two decimals."""

MAX_INT32 = 2**31 - 1
MAX_VOTES = 10**9
"""Votes behind one answer: nine thousand million such answers still add up within 64 bits."""

FUTURE = timedelta(hours=24)

_XY = itemgetter("x", "y")


def checked(
    answer: Answer, rules: Mapping[QuestionKey, Rules], now: datetime, *, missing: Collection[str] = MISSING
) -> Answer:
    """Return the answer with labels as ids of the label set, and with notes on what is remarkable.

    Args:
        answer: As the source states it.
        rules: Rules of the questions that are known; a question that is not takes any answer.
        now: Time of the import, for the note `future`.
        missing: Labels that mean that there is none, unless the question has declared one of that name.

    Raises:
        RejectedInputError: If it breaks a rule.
    """
    rule = rules.get((answer.question_id, answer.question_version), Rules(answer_kind=""))
    _check_frame_of_answer(answer)
    _check_operation(answer, rule)
    answer = _with_known_labels(_with_plain_labels(answer, rule, missing), rule)
    _check_numbers(answer)
    return noted(answer, _remarkable(answer, now))


def noted(answer: Answer, notes: Mapping[str, str]) -> Answer:
    """Return the answer with further notes; the rules of all its notes stand in `ext['flags']`."""
    held = {**answer.notes, **notes}
    if not held:
        return answer
    # What another lake has flagged stays flagged.
    flags = sorted({*answer.ext.get("flags", "").split(), *held})
    return dataclasses.replace(answer, notes=held, ext={**answer.ext, "flags": " ".join(flags)})


def stated_labels(answer: Answer) -> list[str]:
    """Return the labels in an answer, sorted and distinct; those of `probs` too."""
    found = set(answer.probs or ())
    if answer.value_kind == "label" and isinstance(answer.value, str):
        found.add(answer.value)
    elif answer.value_kind in ("labels", "regions", "spans") and isinstance(answer.value, tuple):
        found.update(label for label in map(_label_of, answer.value) if label is not None)
    return sorted(found)


def check_votes(votes: int) -> None:
    """Refuse numbers of votes that nobody counted, and those that sums could not hold.

    Raises:
        RejectedInputError: With rule no_votes or too_many_votes.
    """
    if votes < 1:
        raise RejectedInputError("no_votes", f"votes must be 1 or more, found {votes}")
    if votes > MAX_VOTES:
        raise RejectedInputError("too_many_votes", f"votes must be {MAX_VOTES:,} or less, found {votes:,}")


def _check_frame_of_answer(answer: Answer) -> None:
    actor_from(answer.actor_id)
    if not answer.subject_key:
        raise RejectedInputError("no_subject", "names no subject")
    if not answer.question_id:
        raise RejectedInputError("no_question", "names no question")
    if not 1 <= answer.question_version <= MAX_INT32:
        raise RejectedInputError("bad_version", f"question_version must be 1 or more, found {answer.question_version}")
    check_votes(answer.votes)
    if answer.event_time_source not in ("source", "batch", "file", "unknown"):
        raise RejectedInputError("bad_time_source", f"event_time_source is {answer.event_time_source!a:.80}")


def _check_operation(answer: Answer, rule: Rules) -> None:
    if answer.op not in OPS:
        raise RejectedInputError("unknown_op", f"op must be one of {', '.join(OPS)}, found {answer.op!a:.80}")
    if answer.value_kind not in VALUE_COLUMNS:
        raise RejectedInputError("wrong_kind", f"unknown value_kind {answer.value_kind!a:.80}")
    if (answer.target_opinion_id is not None) != (answer.op == "retract"):
        raise RejectedInputError("no_target", "a retraction, and nothing else, has the target that it takes back")
    if answer.op == "assert":
        if answer.value_kind == "none" or (answer.value is None and answer.value_ref is None):
            raise RejectedInputError("no_value", "asserts nothing; an actor who declines says op = abstain")
        if rule.answer_kind and answer.value_kind != rule.answer_kind:
            raise RejectedInputError(
                "wrong_kind", f"answers with {answer.value_kind}, the question asks for {rule.answer_kind}"
            )
    elif answer.value is not None:
        raise RejectedInputError("value_without_assert", f"has a value, which {answer.op} takes none of")
    if answer.op == "abstain" and not rule.abstain_allowed:
        raise RejectedInputError("abstain_not_allowed", "declines, which this question does not allow")


def _with_plain_labels(answer: Answer, rule: Rules, missing: Collection[str]) -> Answer:
    known = rule.held.union(rule.labels or (), rule.synonyms)
    plain = {name: plain_label(name, missing=missing, known=known) for name in stated_labels(answer)}
    trimmed = [name for name, label in plain.items() if name != label]
    if not trimmed:
        return answer
    text = f"label {trimmed[0]!a:.80} is taken without the blanks around it"
    return noted(_relabelled(answer, plain), {"label_trimmed": text})


def _with_known_labels(answer: Answer, rule: Rules) -> Answer:
    names = stated_labels(answer)
    named = {name: rule.synonyms.get(name, name) for name in names}
    if rule.labels is not None:
        unknown = [name for name, label in named.items() if label not in rule.labels]
        if unknown:
            raise RejectedInputError("unknown_label", f"label {unknown[0]!a:.80} is not in the label set")
    return _relabelled(answer, named)


def _relabelled(answer: Answer, named: Mapping[str, str]) -> Answer:
    value = answer.value
    if answer.value_kind == "labels" and isinstance(value, tuple):
        value = tuple(sorted({named[str(each)] for each in value}))
    elif all(name == label for name, label in named.items()):
        return answer
    elif answer.value_kind == "label":
        value = named.get(str(value), value) if value is not None else None
    elif isinstance(value, tuple) and answer.value_kind in ("regions", "spans"):
        value = tuple(
            dataclasses.replace(each, label=named[each.label]) if isinstance(each, Region) and each.label else each
            for each in value
        )  # type: ignore[assignment]
    probs = answer.probs
    if probs is not None:
        probs = {named[name]: share for name, share in probs.items()}
        if len(probs) < len(answer.probs or ()):
            raise RejectedInputError("bad_probabilities", "gives one label two probabilities, under synonyms or blanks")
    return dataclasses.replace(answer, value=value, probs=probs)


def _check_numbers(answer: Answer) -> None:
    if answer.confidence is not None and not 0 <= answer.confidence <= 1:
        raise RejectedInputError("bad_confidence", f"confidence must be 0 to 1, found {answer.confidence}")
    if answer.probs is not None:
        _check_probabilities(answer, answer.probs)
    if isinstance(answer.value, float) and not math.isfinite(answer.value):
        raise RejectedInputError("not_finite", f"value must be finite, found {answer.value}")
    frame = answer.frame
    for name, side in (("frame_w", frame.width), ("frame_h", frame.height)):
        if side is not None and not 1 <= side <= MAX_INT32:
            raise RejectedInputError("bad_size", f"{name} must be 1 px or more, found {side}")
    if frame.exif_orientation is not None and not 1 <= frame.exif_orientation <= 8:
        raise RejectedInputError("bad_orientation", f"exif_orientation must be 1 to 8, found {frame.exif_orientation}")
    for region in answer.value if isinstance(answer.value, tuple) else ():
        if isinstance(region, Region):
            _check_region(region)


def _check_probabilities(answer: Answer, probs: Mapping[str, float]) -> None:
    for label, share in probs.items():
        if not math.isfinite(share) or not 0 <= share <= 1 + PROBABILITY_TOLERANCE:
            raise RejectedInputError("bad_probabilities", f"probability of {label!a:.80} is {share}, must be 0 to 1")
    if answer.value_kind != "label":
        return
    total = math.fsum(probs.values())
    if abs(total - 1) > PROBABILITY_TOLERANCE:
        raise RejectedInputError("bad_probabilities", f"probabilities add up to {total:.6g}, must be 1")
    if answer.value not in probs:
        raise RejectedInputError("bad_probabilities", f"no probability for its own label {answer.value!a:.80}")


def _check_region(region: Region) -> None:
    for name in ("x", "y", "w", "h", "angle", "score", "area", "t_start", "t_end"):
        number = getattr(region, name)
        if number is not None and not math.isfinite(number):
            raise RejectedInputError("not_finite", f"region's {name} must be finite, found {number}")
    for name in ("w", "h", "area"):
        number = getattr(region, name)
        if number is not None and number < 0:
            raise RejectedInputError("inverted_box", f"region's {name} is {number:g}, below 0")
    if region.points and not all(math.isfinite(x or 0) and math.isfinite(y or 0) for x, y in map(_XY, region.points)):
        raise RejectedInputError("not_finite", "a point of a region is not finite")


def _remarkable(answer: Answer, now: datetime) -> dict[str, str]:
    notes = {}
    if answer.event_time is not None and answer.event_time > now + FUTURE:
        notes["future"] = f"was said at {answer.event_time}, over 24 h ahead"
    width, height = answer.frame.width, answer.frame.height
    regions = [each for each in (answer.value if isinstance(answer.value, tuple) else ()) if isinstance(each, Region)]
    outside = sum(is_outside(region, width, height) for region in regions)
    if answer.op == "assert" and answer.value_kind == "labels" and not answer.value:
        notes["no_labels"] = "has no label: taken as the answer that none of them applies"
    if outside:
        notes["outside_frame"] = f"{outside} regions reach beyond the frame that it states, kept as they are"
    empty = sum(0 in (region.w, region.h) for region in regions)
    if empty:
        notes["empty_region"] = f"{empty} regions have no width or no height, kept as they are"
    return notes


def is_outside(region: Region, width: int | None, height: int | None) -> bool:
    """Return whether the box of a region reaches beyond a frame; of unknown sides only 0 counts."""
    for start, size, side in ((region.x, region.w, width), (region.y, region.h, height)):
        if start is not None and (start < 0 or (side is not None and start + (size or 0) > side)):
            return True
    return False


def _label_of(each: object) -> str | None:
    return each.label if isinstance(each, Region) else str(each)
