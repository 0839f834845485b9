"""What must stay readable: the versions of tables that dataset versions and people's pins name.

A pin of a person is the object `_pins/<name>.json`: table versions and, where it is a lease for reading, until when.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from lakehouse.datasets.versions.named import TAGS_NOW
from lakehouse.errors import ConfigError, TableError, TableNotFoundError, VersionUnavailableError
from lakehouse.home import Home
from lakehouse.lake import Lake
from lakehouse.lines import parted
from lakehouse.names import nearest
from lakehouse.query import fetch
from lakehouse.tables.read import head, whole
from lakehouse.tables.readers import PINS
from lakehouse.verification.places import place_of
from schemas.tables import BY_NAME

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

BUILT = "select dataset_id, name, pins_json from gold.datasets order by name, dataset_id"


@dataclass(frozen=True, slots=True)
class Pin:
    """Somebody who needs versions of tables.

    Attributes:
        name: For people: the dataset and its version, or the name of the pin.
        tables: Table -> version.
        until: When it ends; None holds for ever.
    """

    name: str
    tables: Mapping[str, int]
    until: datetime | None = None


def live_pins(lake: Lake) -> list[Pin]:
    """Return what pins table versions now: every dataset version, and every pin that has not ended.

    Raises:
        TableError: If a pin cannot be read: what it needs is not known then.
    """
    return dataset_pins(lake) + current_pins(lake)


def dataset_pins(lake: Lake) -> list[Pin]:
    """Return what dataset versions pin, by name and id; the name of the pin tells their tags.

    Raises:
        TableError: If gold.datasets or gold.dataset_tags is damaged.
    """
    tags: dict[str, list[str]] = {}
    for row in fetch(lake, TAGS_NOW):
        tags.setdefault(row["dataset_id"], []).append(f"@{row['tag']}")
    return [
        Pin(f"dataset {row['name']} ({', '.join([row['dataset_id'], *tags.get(row['dataset_id'], [])])})", tables)
        for row in fetch(lake, BUILT)
        for tables in (pinned_in(row["pins_json"]), *pinned_at(lake.home, row["pins_json"]))
    ]  # fmt: skip


def current_pins(lake: Lake) -> list[Pin]:
    """Return the pins of people and readers that have not ended: a listing, and a request for each.

    Raises:
        TableError: If a pin cannot be read: what it needs is not known then.
    """
    return [pin for pin in pins_of_people(lake) if pin.until is None or pin.until > lake.clock()]


def pins_of_people(lake: Lake) -> list[Pin]:
    """Return every pin that a person or a reader set, by name, ended ones as well; raises like `live_pins`."""
    found = []
    for each in lake.files.list(PINS):
        try:
            record = json.loads(lake.files.read_whole(each.name))
            until = None if record["until"] is None else datetime.fromisoformat(record["until"])
            name = each.name.removeprefix(f"{PINS}/").removesuffix(".json")
            found.append(Pin(f"pin {name}", {str(k): int(v) for k, v in record["tables"].items()}, until))
        except FileNotFoundError:
            continue  # removed this moment
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TableError(f"{lake.home}/{each.name}: is no pin ({error}); remove it, or set it again") from error
    return found


def set_pin(lake: Lake, name: str, tables: Mapping[str, int | None], *, until: datetime | None = None) -> Pin:
    """Keep versions of tables readable until the pin is removed, or ends.

    Args:
        lake: The lake.
        name: Letters, digits, `.`, `_` and `-`; one that is there is replaced.
        tables: Table -> version; None pins the newest.
        until: When the pin ends, UTC; None holds for ever.

    Raises:
        ConfigError: If the name cannot be one, or nothing is named.
        TableNotFoundError: If there is no such table.
        VersionUnavailableError: If there is no such version, or its files are gone.
        TableError: If it is damaged.
    """
    if not NAME.fullmatch(name) or not tables:
        raise ConfigError(f"pin {name!r}: expected a name of letters, digits, dots and dashes, and a table at least")
    versions = {}
    for table, version in tables.items():
        if table not in BY_NAME:
            raise TableNotFoundError(f"no table `{table}` to pin{nearest(table, BY_NAME)}")
        newest = head(lake.home, BY_NAME[table])
        if version is not None and version > newest:
            raise VersionUnavailableError(f"{table}@{version}: no such version to pin; the newest is {newest}")
        versions[table] = whole(lake, BY_NAME[table], newest if version is None else version)
    record = {"tables": versions, "until": None if until is None else until.astimezone(UTC).isoformat()}
    lake.files.put(f"{PINS}/{name}.json", (json.dumps(record) + "\n").encode())
    return Pin(f"pin {name}", versions, until)


def remove_pin(lake: Lake, name: str) -> None:
    """Remove a pin.

    Raises:
        ConfigError: If there is none of this name.
    """
    place = f"{PINS}/{name}.json"
    if NAME.fullmatch(name) is None or not any(each.name == place for each in lake.files.list(PINS)):
        known = [pin.name.removeprefix("pin ") for pin in pins_of_people(lake)]
        raise ConfigError(f"no pin `{name}`{nearest(name, known)}")
    lake.files.delete(place)


def pinned_at(home: Home, text: str) -> list[dict[str, int]]:
    """Return what the selection of a dataset version reads as commits have it, commit by commit, as a line counts."""
    found: dict[str, dict[str, int]] = {}
    for name, version in json.loads(text).items():
        table, _, commit_id = name.partition("@")
        if commit_id and table in BY_NAME:
            line, counted = parted(int(version))
            is_own = line == place_of(home, BY_NAME[table]).home.line
            found.setdefault(commit_id, {})[table] = counted if is_own else int(version)
    return list(found.values())


def pinned_in(text: str) -> dict[str, int]:
    """Return what a dataset version pins, of the tables that there are today."""
    return {name: int(version) for name, version in json.loads(text).items() if name in BY_NAME}
