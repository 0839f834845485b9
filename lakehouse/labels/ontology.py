"""Label sets as they are and as they were: one entry for every version of every label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import fetch

ENTRIES = """
select label_set_id, label_id, version, name, parent_id, ordinal, synonyms, export_ids, status, merged_into,
    valid_from, ingest_time
from silver.label_sets where ($known_at is null or ingest_time <= $known_at)
order by label_set_id, ordinal, label_id, version
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One version of one label.

    Attributes:
        label_set_id: The set.
        label_id: Id that opinions use; never renamed.
        version: Counted from 1; the highest one holds.
        name: Name for people, which imports may use too.
        parent_id: More general label; None: top level.
        ordinal: Class number, given once.
        synonyms: Other names that imports may use.
        export_ids: Format -> id of the label there.
        status: active, deprecated or merged.
        merged_into: Label that stands for it; None: it stands for itself.
        valid_from: Since when it holds; None: not stated.
        ingest_time: When we learned it.
    """

    label_set_id: str
    label_id: str
    version: int
    name: str
    ordinal: int
    parent_id: str | None = None
    synonyms: tuple[str, ...] = ()
    export_ids: Mapping[str, str]
    status: str = "active"
    merged_into: str | None = None
    valid_from: datetime | None = None
    ingest_time: datetime | None = None

    def row(self) -> dict[str, object]:
        """The row of silver.label_sets, without the time when we learned it."""
        return {
            "label_set_id": self.label_set_id,
            "label_id": self.label_id,
            "version": self.version,
            "name": self.name,
            "parent_id": self.parent_id,
            "ordinal": self.ordinal,
            "synonyms": sorted(self.synonyms) or None,
            "export_ids": dict(self.export_ids) or None,
            "status": self.status,
            "merged_into": self.merged_into,
            "valid_from": self.valid_from,
        }


def history(lake: Lake, label_set: str = "", label: str = "", *, known_at: datetime | None = None) -> list[Entry]:
    """Return every version of every label, by set, class number and version.

    Args:
        lake: The lake.
        label_set: Only of this set; "": of all.
        label: Only of this label.
        known_at: Only what we had learned by then.

    Raises:
        ConfigError: If there is no such set or label; the message names the nearest.
    """
    found = [_entry(row) for row in fetch(lake, ENTRIES, params={"known_at": known_at})]
    sets = sorted({each.label_set_id for each in found})
    if label_set:
        if label_set not in sets:
            raise ConfigError(f"no label set `{label_set}`{nearest(label_set, sets)}")
        found = [each for each in found if each.label_set_id == label_set]
    if label:
        names = [each.label_id for each in found]
        if label not in names:
            raise ConfigError(f"label set {label_set} has no label {label!r}{nearest(label, names)}")
        found = [each for each in found if each.label_id == label]
    return found


def label_set(lake: Lake, name: str, *, known_at: datetime | None = None) -> dict[str, Entry]:
    """Return the labels of a set by their ids, as they are or as we knew them, in the order of their class numbers.

    Raises:
        ConfigError: If there is no such set.
    """
    # Versions rise: the last one stays.
    return {each.label_id: each for each in history(lake, name, known_at=known_at)}


def label_sets(lake: Lake) -> dict[str, dict[str, Entry]]:
    """Return all sets as `label_set` does, by name."""
    found: dict[str, dict[str, Entry]] = {}
    for each in history(lake):
        found.setdefault(each.label_set_id, {})[each.label_id] = each
    return found


def stands_for(entries: Mapping[str, Entry], label: str) -> str:
    """Return the label that a label was merged into, through all merges; itself if it was not."""
    seen = {label}
    while label in entries and (target := entries[label].merged_into) is not None and target not in seen:
        seen.add(target)
        label = target
    return label


def _entry(row: Mapping[str, Any]) -> Entry:
    values = dict(row)
    values["synonyms"] = tuple(values["synonyms"] or ())
    values["export_ids"] = dict(values["export_ids"] or ())
    return Entry(**values)
