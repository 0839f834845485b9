"""Checkpoints are copies of the log that readers prefer to it: they must say what the verified entries say."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakehouse.errors import TableError, one_line
from lakehouse.verification.entries import file_name, stamp_of
from lakehouse.verification.notes import Noted
from lakehouse.verification.places import Place

CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(\.\d{10}\.\d{10})?\.parquet")
HINT = "_last_checkpoint"
MEND = "remove it: readers do without, it only saves them time"


def verify_checkpoints(place: Place, noted: Mapping[int, Noted], hashes: Mapping[str, str]) -> set[int]:
    """Compare every checkpoint of a log with its hash, or with the entries; return the versions whose notes are new.

    Args:
        place: Where the table is.
        noted: Version -> verified entry, for all versions; checkpoints are noted there.
        hashes: Name -> SHA-256, of those that we wrote; others are compared by what they say.

    Raises:
        TableError: If a checkpoint, or the hint which is the newest, says something else.
    """
    # The hint first: a checkpoint that is written meanwhile is then no hint to one that was not listed.
    hinted = _read_hint(place)
    found: dict[int, list[Path]] = {}
    for name in sorted(os.listdir(place.log)):
        if match := CHECKPOINT.fullmatch(name):
            found.setdefault(int(match[1]), []).append(place.log / name)
    if hinted is not None and hinted not in found:
        raise TableError(f"{place.name}: {place.log / HINT} names checkpoint {hinted}, which is not there; {MEND}")
    changed = set()
    for version, paths in found.items():
        if version > max(noted) and place.entry(version).is_file():
            continue  # Committed since the log was listed: whoever reads that version verifies it.
        if version not in noted:
            raise TableError(f"{place.name}: {paths[0]} is of a version that the log does not have; {MEND}")
        stamps = {path.name: stamp_of(path) for path in paths}
        if all(stamp and noted[version].files.get(name) == stamp for name, stamp in stamps.items()):
            continue
        _compare_hashes(place, paths, hashes)
        # One that has the hash with which we wrote it says what the verified entries said then. To compare all of them
        # with all entries took 14 s after 2,000 small commits.
        is_ours = all(path.name in hashes for path in paths)
        if not is_ours and _in_checkpoint(place, paths) != _in_entries(place, version):
            raise TableError(
                f"{place.name}: {paths[0]} is damaged: expected the files and settings of entries 0 to {version}, "
                f"found others; {MEND}"
            )
        noted[version].files.update({name: stamp for name, stamp in stamps.items() if stamp})
        changed.add(version)
    return changed


def _read_hint(place: Place) -> int | None:
    path = place.log / HINT
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["version"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(f"{place.name}: {path} is damaged: it is no hint ({error}); {MEND}") from error


def _compare_hashes(place: Place, paths: list[Path], hashes: Mapping[str, str]) -> None:
    for path in paths:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != hashes.get(path.name, found):
            raise TableError(
                f"{place.name}: {path} is damaged: expected SHA-256 {hashes[path.name]}, found {found}; {MEND}"
            )


def _in_checkpoint(place: Place, paths: list[Path]) -> dict[str, Any]:
    # Here: most looks at a log find its checkpoints noted as whole.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # All columns: readers of the log read others than we compare.
        rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
        return _state(rows)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(f"{place.name}: {paths[0]} is damaged: {one_line(error)}; {MEND}") from error


def _in_entries(place: Place, version: int) -> dict[str, Any]:
    state: dict[str, Any] = {}
    for number in range(version + 1):
        lines = place.entry(number).read_text(encoding="utf-8").splitlines()
        actions = [json.loads(line) for line in lines if line.strip()]
        later = _state(actions)
        gone = {file_name(each["remove"]) for each in actions if "remove" in each}
        kept = {name: fact for name, fact in state.get("add", {}).items() if name not in gone}
        state = state | later | {"add": kept | later.get("add", {})}
        if not state["add"]:
            del state["add"]  # as of a checkpoint, which has no line for no file
    return state


def _state(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what decides which rows a reader sees: files with sizes and statistics, schema, protocol."""
    state: dict[str, Any] = {}
    files = [row["add"] for row in rows if row.get("add")]
    if files:
        state["add"] = {
            file_name(each): (each["size"], json.loads(each["stats"] or "{}"), dict(each["partitionValues"]),
                              each.get("deletionVector"))
            for each in files
        }
    for row in rows:
        if facts := row.get("metaData"):
            state["metaData"] = (facts["schemaString"], facts["partitionColumns"], dict(facts["configuration"]))
        if facts := row.get("protocol"):
            lists = [facts.get("readerFeatures"), facts.get("writerFeatures")]
            state["protocol"] = (facts["minReaderVersion"], facts["minWriterVersion"], lists)
    return state
