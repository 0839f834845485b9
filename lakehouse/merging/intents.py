"""Notes of what is to be done to all tables or none: which commits, and how each conflict is settled."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lakehouse.errors import TableError
from lakehouse.home import Home
from lakehouse.lines import MERGES
from schemas.canonical import content_id


def keep_intent(home: Home, intent: Mapping[str, Any]) -> str:
    """Write a note, and return its name."""
    name = f"{MERGES}/{content_id(dict(intent))}.json"
    home.files.put(name, (json.dumps(dict(intent)) + "\n").encode())
    return name


def intents(home: Home) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and content of each note of a line.

    Raises:
        TableError: If one is damaged.
    """
    for each in list(home.files.list(MERGES)):
        try:
            found = dict(json.loads(home.files.read_whole(each.name)))
            if not {"kind", "ours", "message"} <= found.keys():
                raise ValueError("it lacks kind, ours or message")
        except (ValueError, TypeError) as error:
            raise TableError(
                f"{home}/{each.name}: tells of a merge or revert that was killed, and is damaged ({error}); put it "
                "back from a copy of the lake, or remove it and run the merge again, which adds what is not there yet"
            ) from error
        yield each.name, found
