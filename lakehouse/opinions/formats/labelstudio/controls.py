"""Which controls a file has, what each asks, and which question of ours it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.formats.labelstudio.meaning import (
    Control,
    control_of,
    grouped,
    heads,
    is_beside,
    is_part,
    kind_of,
    type_of,
)
from lakehouse.opinions.formats.labelstudio.options import LabelStudioOptions
from lakehouse.opinions.reading.json_fields import Object, objects_in


def controls_of(records: Iterable[Object], options: LabelStudioOptions) -> list[Control]:
    """Return the controls of a file by name, each with the kind of its answers.

    What is said of a region alone (a choice beside a box) is an attribute of the region, and no control.
    """
    kinds: defaultdict[str, set[str]] = defaultdict(set)
    of: dict[str, str] = {}
    part_of: dict[str, str] = {}
    types: defaultdict[str, set[str]] = defaultdict(set)
    for record in records:
        for head, others in _heads(record):
            try:
                name = control_of(head)
            except RejectedInputError:
                continue
            part_of.update(dict.fromkeys(others, name))
            of.setdefault(name, str(head.get("to_name")))
            # A control whose results nobody can read is one: reading them will say so.
            found_kinds = kinds[name]
            try:
                found_kinds.add(kind_of(head, options.subject_kind))
                types[name].add(type_of(head))
            except RejectedInputError:
                continue
    found = [
        Control(
            name, options.kinds.get(name) or _one(kinds[name]), of[name], frozenset(types[name]),
            frozenset(part for part, whole in part_of.items() if whole == name),
        )
        for name in sorted(set(kinds) - set(part_of))
    ]
    if not found and options.empty:
        found = [Control(next(iter(options.controls), ""), options.empty, "")]
    return found


def question_of(control: str, controls: Sequence[Control], options: LabelStudioOptions) -> str:
    """Return the question that a control is: as stated, `question` if it is the only one, else `question.control`."""
    if control in options.controls:
        return options.controls[control]
    return options.question if len(controls) <= 1 else f"{options.question}.{control}"


def _heads(record: Object) -> list[tuple[Object, list[str]]]:
    """Return what makes an answer in each group, with the other controls that drew it."""
    try:
        groups = grouped(each for each in objects_in(record, "result") if not is_beside(each))
        return [
            (head, [control_of(each) for each in group if is_part(each, head)])
            for group in groups
            for head in heads(group)
        ]
    except RejectedInputError:
        return []


def _one(kinds: set[str]) -> str:
    return "labels" if kinds == {"label", "labels"} else min(kinds, default="regions")
