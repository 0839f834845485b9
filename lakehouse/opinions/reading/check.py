"""What an answer must be before it can become an opinion."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from itertools import chain
from operator import itemgetter

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.actors import actor_from
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.regions import COCO_RLE
from lakehouse.opinions.matching.scaling import OBB
from lakehouse.opinions.questions import QuestionKey, Rules
from lakehouse.opinions.reading.answer import OPS, Answer, Region
from lakehouse.opinions.reading.label_text import MISSING, plain_label
from schemas.opinions import VALUE_COLUMNS

PROBABILITY_TOLERANCE = 0.01
"""How far probabilities may be from adding up to 1: files write two decimals."""

MAX_INT32 = 2**31 - 1
MAX_VOTES = 10**9
"""Votes behind one answer: nine thousand million such answers still add up within 64 bits."""

MAX_SUBJECT_CHARACTERS = 16_384
"""Paths have 4,096 bytes at most, keys of buckets 1,024; a picture that a file holds as text names nothing."""

WHOLE = ("frame_start", "frame_end", "channel", "char_start", "char_end")
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
    _check_kinds(answer, rule.kinds)
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
    if len(answer.subject_key) > MAX_SUBJECT_CHARACTERS:
        raise RejectedInputError(
            "subject_too_long",
            f"names its subject in {len(answer.subject_key):,} characters, at most {MAX_SUBJECT_CHARACTERS:,} are kept",
        )
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


def _check_kinds(answer: Answer, allowed: Collection[str]) -> None:
    """Refuse regions that no dataset of the question would have: they would be left out where nobody looks."""
    for region in answer.value if allowed and isinstance(answer.value, tuple) else ():
        # Corners in shares of a picture become a turned box, or a polygon, once the picture is known.
        kind = region.kind if isinstance(region, Region) else None
        if kind not in (None, OBB) and kind not in allowed:
            raise RejectedInputError(
                "kind_not_allowed",
                f"has a {kind!a:.40}, the question takes {', '.join(allowed)}; convert it, or ask another question or "
                "version with other geometry_kinds",
            )


def _check_region(region: Region) -> None:
    for name in ("x", "y", "w", "h", "angle", "score", "area", "t_start", "t_end"):
        number = getattr(region, name)
        if number is not None and not math.isfinite(number):
            raise RejectedInputError("not_finite", f"region's {name} must be finite, found {number}")
    for name in ("w", "h", "area"):
        number = getattr(region, name)
        if number is not None and number < 0:
            raise RejectedInputError("inverted_box", f"region's {name} is {number:g}, below 0")
    _check_shape(region)
    # A sum shows at the speed of C what is not finite; one of finite numbers may be so large only by chance.
    numbers = chain.from_iterable(map(_XY, region.points or ()))
    if not math.isfinite(sum(filter(None, numbers))):
        for number in filter(None, chain.from_iterable(map(_XY, region.points or ()))):
            if not math.isfinite(number):
                raise RejectedInputError("not_finite", "a point of a region is not finite")


def _check_shape(region: Region) -> None:
    if region.kind == "mask" and region.mask_encoding == COCO_RLE and region.mask_counts is not None:
        rle.decompress(region.mask_counts)
    sizes = region.part_sizes
    if sizes is not None and (min(sizes, default=0) < 0 or sum(sizes) != len(region.points or ())):
        raise RejectedInputError(
            "bad_polygon", f"part_sizes are those of {sum(sizes):,} points, it has {len(region.points or ()):,}"
        )
    for name in WHOLE:
        number = getattr(region, name)
        if number is not None and not -(2**63) <= number < 2**63:
            raise RejectedInputError("not_an_integer", f"region's {name} is beyond 64 bits")
    for first, last in (("t_start", "t_end"), ("frame_start", "frame_end"), ("char_start", "char_end")):
        start, end = getattr(region, first), getattr(region, last)
        if start is not None and end is not None and end < start:
            raise RejectedInputError("inverted_interval", f"region's {last} is {end}, before its {first} {start}")


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
    unfit = sum(map(_is_unfit, regions))
    if unfit:
        notes["mask_unfit"] = f"{unfit} masks have runs that do not add up to their size; no dataset will have them"
    empty = sum(0 in (region.w, region.h) for region in regions)
    if empty:
        notes["empty_region"] = f"{empty} regions have no width or no height, kept as they are"
    return notes


def _is_unfit(region: Region) -> bool:
    if region.kind != "mask" or region.mask_encoding != COCO_RLE or region.mask_counts is None:
        return False
    runs = rle.decompress(region.mask_counts)
    return int(runs.sum()) != (region.mask_h or 0) * (region.mask_w or 0) or bool((runs < 0).any())


def is_outside(region: Region, width: int | None, height: int | None) -> bool:
    """Return whether the box of a region reaches beyond a frame; of unknown sides only 0 counts."""
    for start, size, side in ((region.x, region.w, width), (region.y, region.h, height)):
        if start is not None and (start < 0 or (side is not None and start + (size or 0) > side)):
            return True
    return False


def _label_of(each: object) -> str | None:
    return each.label if isinstance(each, Region) else str(each)
