"""copy-lake: everything that belongs to a lake at another address, its marker last."""

from __future__ import annotations

import itertools
import json
import logging
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from lakehouse.care.copied import DATASETS, Known, known_objects, known_published, published_folders
from lakehouse.care.orphans import SHOWN
from lakehouse.care.transfer import all_at_once, transfer, writable
from lakehouse.commits.manifest import COMMITS, read_commit
from lakehouse.commits.refs import BRANCHES, HEADS, REFS, TAGS, tags
from lakehouse.erasures import ERASURES, erased_files, erasures
from lakehouse.errors import ConfigError, DamagedObjectError, TableError
from lakehouse.home import Home
from lakehouse.lake import Lake
from lakehouse.lines import MAIN
from lakehouse.objects import OBJECTS, object_uri
from lakehouse.place import COPYING, MARKER, NOTHING, is_lake
from lakehouse.progress import progress
from lakehouse.query import fetch
from lakehouse.steps.expired import expired
from lakehouse.steps.receipts import RUNS
from lakehouse.tables.read import head
from lakehouse.tables.readers import PINS
from lakehouse.verification.checkpoints import CHECKPOINT, HINT
from lakehouse.verification.entries import ENTRY_NAME, FileFact, entry_sha256, erasing, read_entry
from lakehouse.verification.heads import Head, read_head, write_head
from lakehouse.verification.places import Place, place_of
from lakehouse.verification.tables import verify_log
from loaders.stores.storage import Stat, Storage
from schemas.tables import TABLES

logger = logging.getLogger(__name__)

LOST = """
select count(*) as n, min(e.object_uri) as example from silver.entities e left join copied c on c.name = e.object_uri
where e.storage = 'copy' and e.object_uri is not null and c.name is null
    and e.entity_id not in (select entity_id from expired)
"""


@dataclass(slots=True)
class Copied:
    """What a run of `copy_lake` did.

    Attributes:
        lake: Where the copy is.
        files: Files that were written.
        bytes: Their bytes.
        held: Files that were there whole already.
        erased: Files that were removed from an older copy, because they were erased from the lake for privacy.
        versions: Table -> version that the copy has.
    """

    lake: str
    files: int = 0
    bytes: int = 0
    held: int = 0
    erased: int = 0
    versions: dict[str, int] = field(default_factory=dict)


def copy_lake(lake: Lake, target: Home) -> Copied:
    """Copy a lake to an address at which there is nothing, an unfinished copy of it, or a copy that is behind it.

    Writers may be at work: what is the newest version of each table now is what is copied. Every file whose SHA-256
    the lake knows is compared with it on its way; one of the right size that is there already is not read again.
    What was erased for privacy is not copied, and leaves a copy that is brought up to date.
    `_lake.json` comes last: until then there is no lake. It has an id of its own, so that what machines keep of a lake
    that was at this address before is never taken for this one. Locks, temporary files and notes of machines stay.

    Args:
        lake: From `looking`.
        target: Where to; nobody else writes there meanwhile.

    Raises:
        ConfigError: If other things are there, or a lake that has gone its own way.
        TableError: If a log or a data file is damaged.
        DamagedObjectError: If an object is missing or damaged; everything else was copied, and there is no lake yet.
        StorageError: If a storage refuses, or does not answer.
    """
    if lake.home.main is not None:
        raise ConfigError(
            f"--branch {lake.home.read_only or lake.home.branch}: a copy is of the whole lake, whose commits are those "
            "of main; merge the branch first, or copy without --branch"
        )
    # What is made of others first: a row that is committed meanwhile never points at one that is left out.
    versions = {table.name: head(lake.home, table) for table in reversed(TABLES)}
    for table in TABLES:
        verify_log(place_of(lake.home, table))
    is_new, lake_id = _begin(lake, target)
    copied = Copied(target.address, versions=versions)
    _Copying(lake, target, copied).run()
    if is_new:
        made = json.loads(lake.files.read_whole(MARKER)) | {"id": lake_id}
        target.files.put(MARKER, (json.dumps(made, indent=1) + "\n").encode())
        copied.files += 1
    target.files.delete(COPYING)
    return copied


def _begin(lake: Lake, target: Home) -> tuple[bool, str]:
    """Return whether the copy is yet to become a lake, and its id; raises ConfigError if it may not be made there."""
    if target.address == lake.home.address:
        raise ConfigError(f"--to {target}: this is the lake itself; give another address")
    if is_lake(target):
        return False, ""  # whether it is a copy of this one, its logs tell
    if target.is_local:
        inside = next((each for each in target.folder.parents if is_lake(each)), None)
        if inside is not None:
            raise ConfigError(f"--to {target}: lies inside the lake {inside}; give a folder outside it")
    first = entry_sha256(place_of(lake.home, TABLES[0]), 0)
    try:
        begun = json.loads(target.files.read_whole(COPYING))
        if begun["first"] == first:
            return True, str(begun["id"])
        found = "an unfinished copy of another lake"
    except (FileNotFoundError, NotADirectoryError):
        others = [each.name for each in itertools.islice(target.files.list(), 3) if each.name not in NOTHING]
        if not others:
            begun = {"first": first, "id": uuid.uuid4().hex}
            target.files.put(COPYING, (json.dumps(begun) + "\n").encode())
            return True, str(begun["id"])
        found = f"other things ({', '.join(others)})"
    except (ValueError, KeyError, TypeError):
        found = f"a damaged {COPYING}"
    raise ConfigError(f"--to {target}: holds {found}; give an address at which there is nothing")


class _Copying:
    """One run: where from and where to, and what was done."""

    def __init__(self, lake: Lake, target: Home, copied: Copied) -> None:
        self.lake, self.target, self.copied = lake, target, copied
        self.files = writable(target)

    def run(self) -> None:
        """Copy everything but the marker: what others point at before what points there."""
        refs = {each.name: self.lake.files.read_whole(each.name) for each in self.lake.files.list(REFS)}
        for table in TABLES:
            self.check_history(place_of(self.lake.home, table), self.copied.versions[table.name])
        self.unnamed(self.lake.files.list(ERASURES))
        self.erase()
        self.objects()
        for table in TABLES:
            place = place_of(self.lake.home, table)
            with progress(f"copy {table.name}", total=1, unit="tables") as advance:
                self.table(place, place_of(self.target, table), self.copied.versions[table.name])
                advance(1)
        for folder, _ in published_folders(self.lake.home):
            self.published(folder)
        self.unnamed(each for each in self.lake.files.list(RUNS) if _is_receipt(each.name))
        self.unnamed(self.lake.files.list(PINS))
        self.unnamed(self.lake.files.list(COMMITS))
        # The newest commits of branches too: a branch of the copy must not get the number of one that commits and
        # datasets name.
        own = {name: data for name, data in refs.items() if name.startswith((f"{TAGS}/", f"{HEADS}/"))}
        for name, data in own.items():
            self._put(name, data)
        if left := sorted(name for name in refs if name.startswith(f"{BRANCHES}/")):
            logger.warning("branches are not copied, only what was merged count=%d first=%s", len(left), left[0])
        elsewhere = [name for name, tag in tags(self.lake.home).items()
                     if any(each.line != MAIN for each in read_commit(self.lake.home, tag["commit"]).tables.values())]
        if elsewhere:
            logger.warning("tags of commits of branches cannot be read in the copy count=%d first=%s", len(elsewhere),
                           elsewhere[0])

    def erase(self) -> None:
        """Take what was erased for privacy from a copy that is older: bytes, and published folders that are gone."""
        for each in erasures(self.lake.home):
            for entity_id in each.entities:
                self._gone(object_uri(entity_id))
            for folder in each.folders:
                if next(self.lake.files.list(folder), None) is None:
                    for file in list(self.target.files.list(folder)):
                        self._gone(file.name)

    def _gone(self, name: str) -> None:
        try:
            self.target.files.stat(name)
        except (FileNotFoundError, NotADirectoryError):
            return
        self.target.files.delete(name)
        self.copied.erased += 1

    def objects(self) -> None:
        """Copy the objects; raises DamagedObjectError once all that are whole are there."""
        names: list[str] = []
        damaged: list[str] = []
        with progress("copy objects", total=None, unit="files") as advance:
            for known, difference in self.brought(_noted(known_objects(self.lake.home), names), OBJECTS):
                if difference:
                    damaged.append(f"{known.name}: expected the SHA-256 it is named by, found {difference}")
                advance(1)
        present = self.lake.engine.from_arrow(pa.table({"name": pa.array(names, pa.string())}))
        inputs = {"copied": present, "expired": expired(self.lake)}
        (lost,) = fetch(self.lake, LOST, inputs=inputs, pins=self.copied.versions)
        if lost["n"]:
            damaged.append(f"{lost['example']}: no file ({lost['n']} objects of rows are missing)")
        if damaged:
            raise DamagedObjectError(
                f"{self.lake.home}/{damaged[0]}; {len(damaged)} damages; mend them (`petrel fsck` says how) and copy "
                "again, which goes on from here"
            )

    def table(self, place: Place, at: Place, version: int) -> None:
        """Copy a table up to a version: data files, then its log in order, then the record of its head."""
        there = {each.name for each in self.target.files.list(place.log_name)}
        entries = [read_entry(place, number) for number in range(version + 1)]
        removed = {name for entry in entries for name in entry.removed}
        erased = {name for number in range(version + 1) for name in erasing(place, number)}
        erased |= erased_files(self.lake.home, place.name)
        for name in erased:
            self._gone(f"{place.folder_name}/{name}")
        facts = [fact for entry in entries for fact in entry.added if fact.name not in erased]
        lacking = [_of_fact(place, fact) for fact in facts]
        for known, difference in self.brought(lacking, place.folder_name):
            if difference == "no file" and known.name.rpartition("/")[2] in removed:
                continue  # only old versions had it, which nobody needs: it was removed by `petrel maintain`
            if difference:
                expected = f"{known.size} bytes of SHA-256 {known.sha256}"
                raise TableError(
                    f"{place.name}: {self.lake.home}/{known.name} is damaged: expected {expected}, found {difference}; "
                    "put it back from a copy of the lake"
                )
        for number in range(version + 1):
            name = f"{place.log_name}/{number:020}.json"
            if name not in there:
                data = place.entry(number).read_bytes()
                self.target.files.put_if_absent(name, data)
                self._count(len(data))
        self._checkpoints(place, version)
        before, told = read_head(at), read_head(place)
        kept = {} if told is None else {
            name: sha256 for name, sha256 in told.checkpoints.items() if _checkpoint(name) <= version
        }  # fmt: skip
        now = Head(version, entries[-1].sha256, kept)
        if before != now:
            write_head(at, now)
            self.copied.files += 1

    def check_history(self, place: Place, version: int) -> None:
        """Check that what the target has of a table is this table's log, up to this version or an earlier one."""
        found = (_version(each.name) for each in self.target.files.list(place.log_name))
        there = {each for each in found if each is not None}
        if too_new := max((each for each in there if each > version), default=None):
            raise ConfigError(
                f"{self.target}: has version {too_new} of {place.name}, and {self.lake.home} has {version}: it was "
                "written to, or is no copy; give another address"
            )
        # Each entry names the hash of the one before it, but for those that made the table.
        for number in sorted(there & {0, 1, max(there, default=0)}):
            name = f"{place.log_name}/{number:020}.json"
            if self.target.files.read_whole(name) != place.entry(number).read_bytes():
                raise ConfigError(
                    f"{self.target}/{name}: another entry than in {self.lake.home}: this is no copy of that lake, or "
                    "it was written to since; give another address"
                )

    def _checkpoints(self, place: Place, version: int) -> None:
        hint = _hinted(self.lake.files, place)
        names = [each for each in self.lake.files.list(place.log_name)
                 if CHECKPOINT.fullmatch(each.name.rpartition("/")[2])]  # fmt: skip
        self.unnamed(each for each in names if _checkpoint(each.name) <= version)
        if hint is not None and hint[0] <= version:
            self._put(f"{place.log_name}/{HINT}", hint[1])

    def published(self, folder: str) -> None:
        """Copy a published version; what it is known by comes last."""
        at = f"{DATASETS}/{folder}"
        known = [Known(f"{at}/{each.name}", each.size, each.sha256) for each in known_published(self.lake.home, folder)]
        for part in (known[:-1], known[-1:]):
            for each, difference in self.brought(part, at):
                if difference:
                    raise TableError(
                        f"{self.lake.home}/{each.name} is damaged: expected {each.size} bytes of SHA-256 "
                        f"{each.sha256}, found {difference}; publish the version again"
                    )

    def unnamed(self, listed: Iterable[Stat]) -> None:
        """Copy small files that no hash is known of."""
        for each in listed:
            try:
                self._put(each.name, self.lake.files.read_whole(each.name))
            except FileNotFoundError:
                continue  # removed this moment

    def brought(self, known: Iterable[Known], folder: str) -> Iterator[tuple[Known, str]]:
        """Bring files that are not there with their size; yield each that was not, and how it differs."""
        there = self.target.files.list(folder)
        for each, difference in all_at_once(self._bring, self._lacking(known, there)):
            if not difference:
                self._count(each.size)
            yield each, difference

    def _bring(self, known: Known) -> str:
        return transfer(self.lake.files, known.name, self.files, known.name, size=known.size, sha256=known.sha256)

    def _lacking(self, known: Iterable[Known], there: Iterable[Stat]) -> Iterator[Known]:
        sizes = {each.name: each.size for each in there}
        for each in known:
            if sizes.get(each.name) == each.size:
                self.copied.held += 1
            else:
                yield each

    def _put(self, name: str, data: bytes) -> None:
        try:
            if self.target.files.read_whole(name) == data:
                self.copied.held += 1
                return
        except (FileNotFoundError, NotADirectoryError):
            pass
        self.target.files.put(name, data)
        self._count(len(data))

    def _count(self, size: int) -> None:
        self.copied.files += 1
        self.copied.bytes += size


def _noted(found: Iterable[Known], names: list[str]) -> Iterator[Known]:
    for each in found:
        names.append(each.name)
        yield each


def _of_fact(place: Place, fact: FileFact) -> Known:
    return Known(f"{place.folder_name}/{fact.name}", fact.size, fact.sha256)


def _version(name: str) -> int | None:
    match = ENTRY_NAME.fullmatch(name.rpartition("/")[2])
    return None if match is None else int(match[1])


def _checkpoint(name: str) -> int:
    match = CHECKPOINT.fullmatch(name.rpartition("/")[2])
    assert match is not None
    return int(match[1])


def _hinted(files: Storage, place: Place) -> tuple[int, bytes] | None:
    try:
        data = files.read_whole(f"{place.log_name}/{HINT}")
        return int(json.loads(data)["version"]), data
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _is_receipt(name: str) -> bool:
    return name.count("/") == 1 and name.endswith(".json") and name != SHOWN
