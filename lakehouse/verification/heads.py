"""The record of a table's newest version, kept outside its folder: a log that lost its end cannot know it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from lakehouse.errors import TableError
from lakehouse.verification.places import Place


@dataclass(frozen=True, slots=True)
class Head:
    """The newest version as its writer left it.

    Attributes:
        version: The version.
        sha256: Hash of its log entry, which names the entry before it, and so on down to the first.
        checkpoints: Name -> SHA-256 of the checkpoints that we wrote.
    """

    version: int
    sha256: str
    checkpoints: Mapping[str, str] = field(default_factory=dict)


def read_head(place: Place) -> Head | None:
    """Return the record, None if there is none: of a copy without it, or of a run killed before it was written.

    Raises:
        TableError: If it is no record.
    """
    try:
        found = json.loads(place.home.files.read_whole(place.head_name))
        checkpoints = {str(name): str(sha256) for name, sha256 in found["checkpoints"].items()}
        return Head(int(found["version"]), str(found["sha256"]), checkpoints)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, OSError) and not place.home.is_local:
            raise  # a network that fails damages nothing
        raise TableError(
            f"{place.name}: {place.head} is damaged ({error}); `petrel mend` makes it anew, as does the next "
            "write once it is removed"
        ) from error


def write_head(place: Place, head: Head) -> None:
    """Keep the record; whole or not at all. The caller holds the table's lock."""
    place.home.files.put(place.head_name, (json.dumps(asdict(head)) + "\n").encode())
