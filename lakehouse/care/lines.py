"""What commits and branches need of tables, for vacuum; and the tables of deleted branches, which go when nobody does.

Pins here name versions by the numbers that every line knows; see `lakehouse.lines`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from lakehouse.care.pins import Pin, current_pins, dataset_pins
from lakehouse.commits.history import before
from lakehouse.commits.manifest import read_commit
from lakehouse.commits.refs import DELETED, branches, head_of, tags, unfreed_lines
from lakehouse.errors import VersionUnavailableError
from lakehouse.home import Home
from lakehouse.lake import Lake
from lakehouse.lines import line_folder, numbered, parted
from lakehouse.merging.intents import intents
from lakehouse.verification.places import line_home, place_at
from schemas.tables import BY_NAME


def pins_of_line(pins: Iterable[Pin], line: int) -> list[Pin]:
    """Return what pins keep of the tables of one line, as Delta counts its versions."""
    found = []
    for pin in pins:
        tables = {name: parted(number)[1] for name, number in pin.tables.items() if parted(number)[0] == line}
        if tables:
            found.append(Pin(pin.name, tables, pin.until))
    return found


def pins_of_all(lake: Lake) -> list[Pin]:
    """Return what keeps versions of tables of any line: tags, commits that somebody asked for, branches, datasets.

    Commits that steps made by themselves keep nothing, but for the newest of each branch: of a lake that is written to
    all day no file would ever go.
    What they name is readable as long as `maintain` lets files be that were replaced.

    Raises:
        TableError: If a commit or gold.datasets is damaged: what is needed is not known then.
    """
    lines = branches(lake.home)
    marked = tags(lake.home).items()
    pins = [Pin(f"tag {name}", read_commit(lake.home, str(tag["commit"])).pins) for name, tag in marked]
    asked: dict[str, Pin] = {}
    for name, line in lines.items():
        home = line_home(lake.home, line)
        pins.append(Pin(f"branch {name}", dict(_not_its_own(home))))
        newest = head_of(home, line)
        if newest:  # whoever made it: it is what `@name` and a diff read
            pins.append(Pin(f"newest commit of branch {name}", read_commit(home, newest).pins))
        for each in before(home, read_commit(home, newest), first_only=True) if newest else ():
            if not each.step and each.commit_id not in asked:
                # Of a deleted branch they are nobody's any more, but for what commits of others stand on.
                alive = {table: number for table, number in each.pins.items()
                         if each.branch in lines or parted(number)[0] in lines.values()}
                asked[each.commit_id] = Pin(f"commit {each.commit_id[:8]} ({each.message})", alive)
        pins += [Pin(each.name, _of_lines(home, each.tables)) for each in dataset_pins(lake.on(home))]
        pins += _of_people(lake.on(home), "" if line == lake.home.line else f" of branch {name}")
        pins += _unfinished(home, name)
    return pins + list(asked.values())


def free_deleted(lake: Lake, pins: Iterable[Pin], *, grace: timedelta, now: datetime, dry_run: bool) -> tuple[int, int]:
    """Remove the tables of deleted branches that nothing needs; return how many branches, and their bytes.

    Args:
        lake: The lake itself.
        pins: From `pins_of_all`.
        grace: How long ago a branch must have been deleted.
        now: The time of now, UTC.
        dry_run: Remove nothing, only count.
    """
    needed = {parted(number)[0] for pin in pins for number in pin.tables.values()}
    shared, freed, size = lake.home.shared, 0, 0
    for line, told in unfreed_lines(lake.home).items():
        is_begun = "tables" in told  # by a run that was killed: what is left of it nobody can read
        if not is_begun and (line in needed or now - datetime.fromisoformat(told["at"]) < grace):
            continue
        files = list(shared.files.list(line_folder(line)))
        # A file that others have by another name takes no room that would be freed.
        size += sum(each.size for each in files
                    if not shared.is_local or (shared.folder / each.name).stat().st_nlink == 1)  # fmt: skip
        freed += 1
        if not dry_run:
            name = f"{DELETED}/{line}.json"
            if not is_begun:
                # Branches that began on it are compared with others through where it began itself. First: of a run
                # that is killed after this, the next knows it still, and no other step looks into what is left.
                told = {"tables": dict(line_home(lake.home, line).pins), **told}
                shared.files.put(name, (json.dumps(told) + "\n").encode())
            for each in files if not shared.is_local else ():
                shared.files.delete(each.name)
            shutil.rmtree(shared.folder / line_folder(line), ignore_errors=True)
            shared.files.put(name, (json.dumps({**told, "freed": True}) + "\n").encode())
    return freed, size


def _not_its_own(home: Home) -> Iterator[tuple[str, int]]:
    """Yield the tables that a branch reads elsewhere, as it never wrote them."""
    for name, number in home.pins:
        if place_at(home, BY_NAME[name], 0)[0].pinned is not None:
            yield name, number


def _of_people(lake: Lake, of_branch: str) -> Iterator[Pin]:
    """Yield pins of people and readers of a branch: of a table that it never wrote, they are of another line's."""
    for pin in current_pins(lake):
        yield Pin(pin.name + of_branch, _of_lines(lake.home, pin.tables), pin.until)


def _unfinished(home: Home, branch: str) -> Iterator[Pin]:
    """Yield what merges and reverts that were killed are made of: whoever opens the branch next finishes them."""
    for _, intent in intents(home):
        for side in ("ours", "theirs", "taken"):
            if side in intent:
                found = read_commit(home, intent[side])
                both = [found, *(read_commit(home, parent) for parent in found.parents[:1] if side == "taken")]
                yield from (Pin(f"unfinished {intent['kind']} on branch {branch}", one.pins) for one in both)


def _of_lines(home: Home, tables: Mapping[str, int]) -> dict[str, int]:
    """Return table -> version as every line knows it."""
    found = {}
    for name, version in tables.items():
        try:
            place, counted = place_at(home, BY_NAME[name], version)
        except VersionUnavailableError:
            continue  # of a deleted branch that was freed, or was left by `copy-lake`: nothing is there to keep
        found[name] = numbered(place.home.line, counted)
    return found
