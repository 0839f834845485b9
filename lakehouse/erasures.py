"""Tombstones: what was erased for privacy or expired, and what that changed, in one object for each time.

`_erasures/<id>.json` keeps hashes and counts: enough to refuse the same bytes when they come again, and to tell rows
that were erased from rows that were lost. It names nobody.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from lakehouse.errors import TableError
from lakehouse.home import Root, home_of
from schemas.digest import Digest, parse_digest

ERASURES = "_erasures"
ERASURE, EXPIRY = "erasure", "expiry"
LOCK = "erase"
"""Held while somebody erases, and while rows are written about what was read before: neither slips past the other."""


@dataclass(slots=True)
class Erasure:
    """One erasure.

    Attributes:
        erasure_id: Content id (32 hex) of the entities, and time.
        reason: Why, in the words of who asked for it.
        erased_at: When it began, UTC, ISO 8601.
        asked_by: How the entities were named: `entity`, `source` or the name of a group key; never its value.
        entities: Entities whose bytes and rows are gone, and those derived from them.
        datasets: Dataset versions that had them.
        folders: Published folders, relative to the lake, that have their bytes, or had.
        rows: Table -> rows that were erased.
        opinions: Import -> opinions of it that were erased.
        members: Dataset version -> digest of its members that were erased.
        old_files: Table -> files of older versions that have such rows; `maintain` removes them, whatever pins them.
        row_hashes: Table -> hashes of the rows that were erased, of older versions too, where a row need not name an
            entity: what a sidecar, a reject or an archive told of one comes back by no merge and no revert.
        pending: What only a run that goes on after a kill needs: source, group key and its value, published. Empty
            once it is done.
        is_done: Whether it came to its end; one that did not is taken up by the next.
        kind: `erasure`, or `expiry`: the bytes are gone and every row stays.
    """

    erasure_id: str
    reason: str
    erased_at: str
    asked_by: str
    entities: list[str]
    datasets: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    opinions: dict[str, int] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)
    old_files: dict[str, list[str]] = field(default_factory=dict)
    row_hashes: dict[str, list[str]] = field(default_factory=dict)
    pending: dict[str, str] = field(default_factory=dict)
    is_done: bool = False
    kind: str = ERASURE


def erasures(root: Root) -> list[Erasure]:
    """Return every erasure of a lake, by id.

    Raises:
        TableError: If one cannot be read: what was erased is not known then.
    """
    files = home_of(root).files
    found = []
    for each in files.list(ERASURES):
        try:
            found.append(Erasure(**json.loads(files.read_whole(each.name))))
        except (ValueError, TypeError) as error:
            raise TableError(
                f"{files.root}/{each.name}: is no record of an erasure ({error}); put it back from a copy of the lake"
            ) from error
    return found


def keep_erasure(root: Root, erasure: Erasure) -> None:
    """Write the record, in place of an earlier state of it."""
    name = f"{ERASURES}/{erasure.erasure_id}.json"
    home_of(root).files.put(name, (json.dumps(asdict(erasure), indent=1) + "\n").encode())


def erased_entities(root: Root) -> frozenset[str]:
    """Return the ids of all entities that were erased or expired: bytes of these hashes are not taken in again."""
    return frozenset(entity for each in erasures(root) for entity in each.entities)


def expired_entities(root: Root) -> frozenset[str]:
    """Return the ids of the entities whose bytes expired: their rows are there, and their bytes are not."""
    return frozenset(entity for each in erasures(root) if each.kind == EXPIRY for entity in each.entities)


def expiry_of(root: Root, entity_id: str) -> Erasure | None:
    """Return the expiry by which the bytes of an entity went; None if they did not."""
    found = (each for each in erasures(root) if each.kind == EXPIRY and entity_id in each.entities)
    return next(found, None)


def erased_opinions(root: Root) -> Mapping[str, int]:
    """Return import -> opinions of it that were erased."""
    total: Counter[str] = Counter()
    for each in erasures(root):
        total.update(each.opinions)
    return total


def erased_files(root: Root, table: str) -> frozenset[str]:
    """Return the files of older versions of a table that have rows which were erased."""
    return frozenset(name for each in erasures(root) for name in each.old_files.get(table, ()))


def erased_members(root: Root, dataset_id: str) -> Digest:
    """Return the digest of the members of a dataset version that were erased."""
    total = Digest()
    for each in erasures(root):
        total += parse_digest(each.members.get(dataset_id, str(Digest())))
    return total
