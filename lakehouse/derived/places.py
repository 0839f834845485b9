"""Where the bytes of a derived entity come from, as one text: the place of its parent, and what is done to it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from lakehouse.derived.identity import REFERENCES
from schemas.canonical import canonical_json

# Greedy: of what was made in several steps the last one.
_PLACE = re.compile(r"(?P<parent>.*)#(?P<how>\{\"operation\":.*\})", re.DOTALL)

PLACE = """case when e.object_uri is not null then e.object_uri || '#' || e.entity_id
    else p.object_uri || '#' || p.entity_id || '#{"operation":"' || e.operation || '","parameters":'
        || e.parameters_json || '}' end"""
"""SQL: the place of the bytes of an entity `e`; NULL: they are nowhere. `REFERENCED` has to be joined.

As `derived_place` writes it: canonical JSON has no blanks, and `operation` before `parameters`.
"""

IS_REFERENCE = "e.object_uri is null and e.operation in ({})".format(", ".join(f"'{each}'" for each in REFERENCES))
"""SQL: an entity `e` whose bytes are made of its parent's. Others that are not stored, objects of tracks, have none."""

OF_PARENT = f"left join {{parents}} p on p.entity_id = e.parent_id and {IS_REFERENCE}"
"""SQL: to an entity `e` that is not stored the one among `parents` that its bytes are made of, as `p`."""

REFERENCED = OF_PARENT.format(parents="silver.entities")
"""The same among all."""

STORED_URI = "coalesce(e.object_uri, p.object_uri)"
"""SQL: where the stored bytes are that an entity `e` is, or is made of; NULL: nowhere."""

PLACED = {"place": PLACE, "uri": STORED_URI, "referenced": REFERENCED}
"""The three, for texts that are filled in."""


class Derived(NamedTuple):
    """What a place says.

    Attributes:
        parent: Place of the parent, as `lakehouse.objects.read_entity` takes it; of what was made in several steps, as
            `read_place` does.
        operation: Name of the operation; "" where the parent is meant as it is.
        parameters: Of the operation.
    """

    parent: str
    operation: str
    parameters: Mapping[str, Any]


def derived_place(parent: str, operation: str, parameters: Mapping[str, object]) -> str:
    """Return the place of what an operation makes of a parent."""
    return f"{parent}#{canonical_json({'operation': operation, 'parameters': dict(parameters)})}"


def stored_place(place: str) -> str:
    """Return the place of the stored entity that the bytes at a place are, or are made of."""
    derived = read_place(place)
    return stored_place(derived.parent) if derived.operation else place


def made_by(place: str) -> list[dict[str, object]]:
    """Return what is done to the stored bytes to make those at a place, in order: operation and parameters."""
    derived = read_place(place)
    if not derived.operation:
        return []
    return [*made_by(derived.parent), {"operation": derived.operation, "parameters": dict(derived.parameters)}]


def read_place(place: str) -> Derived:
    """Return what a place says, whether of a derived entity or of one that is stored."""
    found = _PLACE.fullmatch(place)
    if found is None:
        return Derived(place, "", {})
    how = json.loads(found["how"])
    return Derived(found["parent"], how["operation"], how["parameters"])
