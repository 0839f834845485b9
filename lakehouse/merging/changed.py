"""The rows in which two versions of a table differ, at the cost of the files in which they differ.

Files never change, and a branch's table has the files of the one it began on under their own names. So what two
versions have in common is known from their logs: it is all up to where the lines part, and of what came after only the
files of one side are read. Rows that a compaction wrote again are in files of both sides and cancel out, by their hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lakehouse.commits.refs import began_at
from lakehouse.erasures import erased_files
from lakehouse.errors import TableError, VersionUnavailableError, one_line
from lakehouse.home import Home
from lakehouse.lines import MAIN, parted
from lakehouse.verification.copies import complete, refresh
from lakehouse.verification.entries import FileFact, read_entry
from lakehouse.verification.places import Place, place_at
from schemas.model import Table


@dataclass(frozen=True, slots=True)
class Changed:
    """What a version of a table has and another has not.

    Attributes:
        removed: Rows of the first version alone.
        added: Rows of the second alone; both with all columns of the table.
        files: How many files were read.
        erased: How many could not be, since rows were erased from them: what of their rows stayed counts as added, by
            the files that took their place.
    """

    removed: pa.Table
    added: pa.Table
    files: int = 0
    erased: int = 0


def changed_rows(
    home: Home, table: Table, before: int, after: int, *, columns: Sequence[str] | None = None,
    without_erased: bool = False,
) -> Changed:  # fmt: skip
    """Return in which rows two versions of a table differ.

    Args:
        home: Of the lake, any line of it.
        table: Which table.
        before: Number of the first version, as commits have it; see `lakehouse.lines`.
        after: Number of the second.
        columns: Columns wanted, `row_hash` among them; None takes all.
        without_erased: Go on without files of the first version that are gone because rows were erased from them.

    Raises:
        TableError: If an entry or a file is damaged.
        VersionUnavailableError: If a file is gone: `maintain` removed it, since nothing kept the version.
    """
    columns = table.column_names if columns is None else columns
    none = table.arrow_schema.empty_table().select(list(columns))
    if before == after:
        return Changed(none, none)
    only_before, only_after = _files(home, table, before, after)
    if not only_before and not only_after:
        return Changed(none, none)
    there = only_before
    if without_erased:
        erased = erased_files(home, table.name)
        there = [(place, fact) for place, fact in only_before
                 if fact.name not in erased or (place.folder / fact.name).exists()]  # fmt: skip
    lost, only_before = len(only_before) - len(there), there
    removed = _rows(only_before, columns, none)
    added = _rows(only_after, columns, none)
    if removed.num_rows and added.num_rows:
        common = added.column("row_hash")
        added = added.filter(pc.invert(pc.is_in(common, value_set=removed.column("row_hash").combine_chunks())))
        removed = removed.filter(pc.invert(pc.is_in(removed.column("row_hash"), value_set=common.combine_chunks())))
    return Changed(removed, added, len(only_before) + len(only_after), lost)


_File = tuple[Place, FileFact]


def _files(home: Home, table: Table, before: int, after: int) -> tuple[list[_File], list[_File]]:
    """Return the files that one version has and the other has not, each way."""
    one, other = _ways(home, table, before), _ways(home, table, after)
    line = next(line for line in one if line in other)
    common = min(one[line], other[line])
    gone_one, new_one = _since(home, table, before, common)
    gone_other, new_other = _since(home, table, after, common)
    back_one = _facts(home, table, before, gone_other - gone_one)
    back_other = _facts(home, table, after, gone_one - gone_other)
    return [*new_one.values(), *back_one], [*new_other.values(), *back_other]


def _ways(home: Home, table: Table, number: int) -> dict[int, int]:
    """Return line -> newest version that a version has in common with it, from its own line down to main."""
    line, version = parted(number)
    found = {}
    while True:
        found[line] = version
        if line == MAIN:
            return found
        line, began = parted(began_at(home, line)[table.name])
        version = min(version, began)


def _since(home: Home, table: Table, number: int, common: int) -> tuple[set[str], dict[str, _File]]:
    """Return which files of a common version are gone by a version, and which are new, by name."""
    place, version = _known(home, table, number)
    gone: set[str] = set()
    new: dict[str, _File] = {}
    for each in range(common + 1, version + 1):
        entry = read_entry(place, each)
        for name in entry.removed:
            if new.pop(name, None) is None:
                gone.add(name)
        new |= {fact.name: (place, fact) for fact in entry.added}
    return gone, new


def _facts(home: Home, table: Table, number: int, wanted: set[str]) -> list[_File]:
    """Return files of the common version that only the other side replaced: this side has them still."""
    place, version = _known(home, table, number)
    found: list[_File] = []
    for each in range(version, -1, -1):
        if not wanted:
            break
        for fact in read_entry(place, each).added:
            if fact.name in wanted:
                wanted = wanted - {fact.name}
                found.append((place, fact))
    return found


def _known(home: Home, table: Table, number: int) -> tuple[Place, int]:
    """Return the place of a version, whose log this machine has."""
    place, version = place_at(home, table, number)
    if not place.entry(version).is_file():
        refresh(place)  # another machine made it
    return place, version


def _rows(files: Sequence[_File], columns: Sequence[str], none: pa.Table) -> pa.Table:
    for place, fact in files:
        complete(place, [fact])
    parts = [_read(place.folder / fact.name, place, columns).cast(none.schema) for place, fact in files]
    return pa.concat_tables(parts) if parts else none


def _read(path: Path, place: Place, columns: Sequence[str]) -> pa.Table:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read(columns=list(columns)).select(list(columns))
    except FileNotFoundError as error:
        raise VersionUnavailableError(
            f"{place.name}: {path} was removed since, as nothing kept the version that has it; tags, branches and "
            "commits that somebody asked for keep theirs"
        ) from error
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{place.name}: {path} cannot be read: {one_line(error)}") from error
