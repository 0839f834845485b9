"""Categories of COCO from a label set: with the ids that they came with, or new ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.opinions.formats.coco.stated import NAME
from lakehouse.opinions.formats.writer import ClassNumbers, Ontology
from lakehouse.opinions.words import ISTHING


def category_ids(ontology: Ontology) -> ClassNumbers:
    """Return label -> id of its category: as the label set holds it, else its class number plus 1, or the next free.

    COCO counts categories from 1; an id that two labels would have goes to the one that holds it.
    """
    held = ontology.export_ids.get(NAME, {})
    labels = sorted(ontology.numbers, key=lambda label: ontology.numbers[label])
    found = {label: int(held[label]) for label in labels if held.get(label, "").isdecimal()}
    taken = set(found.values())
    for label in labels:
        if label not in found:
            number = ontology.numbers[label] + 1
            if number in taken or held:
                number = max([*taken, 0]) + 1
            taken.add(number)
            found[label] = number
    return ClassNumbers(found)


def categories_of(ontology: Ontology, ids: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the entries of `categories`, by id; labels that were merged into others are none.

    The supercategory is what a label is put below, also where that is no label of the set.
    """
    points: dict[str, Any] = {}
    if ontology.keypoints:
        points = {"keypoints": list(ontology.keypoints), "skeleton": [[a + 1, b + 1] for a, b in ontology.skeleton]}
    chosen = sorted(ontology.labels, key=lambda label: ids[label])
    above = {label: ontology.name(parent) for label, parent in ontology.parents.items()}
    things = ontology.export_ids.get(ISTHING, {})
    return [
        {"id": ids[label], "name": ontology.name(label), "supercategory": above.get(label, ""), **points,
         **({"isthing": int(things[label] != "0")} if label in things else {})}
        for label in chosen
    ]  # fmt: skip
