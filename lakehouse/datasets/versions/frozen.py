"""A dataset version as one file for git: it gives the same version in any lake that has the same files.

The file is JSON, a line for each member. It holds references (SHA-256 of the bytes), labels, splits and reasons, and no
bytes. Nothing in it is believed: its last line is the hash of all others, the version id is that of its recipe, digests
and contracts, and the digest of its members is in it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.datasets.following import pinned, read_inputs
from lakehouse.datasets.recipes.recipe import recipe_of
from lakehouse.datasets.selecting.named_commits import by_ids, pins_at, versions_at
from lakehouse.datasets.versions.counts import check_members
from lakehouse.datasets.versions.find import find_dataset
from lakehouse.engines import Relation
from lakehouse.erasures import erased_entities, erased_members
from lakehouse.errors import ConfigError, RecipeError, TableError
from lakehouse.files import write_whole
from lakehouse.lake import Lake
from lakehouse.query import Pins, fetch, query
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import step
from lakehouse.strangers import strangers
from lakehouse.tables.digest import relation_digest
from lakehouse.tables.finish import finished
from lakehouse.tables.insert import insert, insert_rows
from schemas.canonical import canonical_json, content_id, sha256_text
from schemas.model import Table
from schemas.tables import DATASET_EXCLUSIONS, DATASET_MEMBERS, DATASETS

FORMAT = 1
KEYS = ("format", "dataset", "members", "exclusions", "sha256")
PARTS: Mapping[str, Table] = {"members": DATASET_MEMBERS, "exclusions": DATASET_EXCLUSIONS}
KEPT = tuple(name for name in DATASETS.column_names if name not in (*DATASETS.clock_columns, "row_hash"))
"""Columns of gold.datasets that are in the file."""

LAST_LINE = ',\n"sha256": "{}"}}\n'
"""The hash is of all text before it."""

LARGEST = 1 << 30
"""Bytes of a file that is read: at some 100 a member, ten million members."""


def freeze(lake: Lake, dataset: str, path: str | Path) -> int:
    """Write a dataset version to a file, replacing what is there.

    Args:
        lake: The lake.
        dataset: As `find_dataset`.
        path: The file.

    Returns:
        Its size in bytes.

    Raises:
        RecipeError: If there is no such dataset, or members of it were erased: nobody could restore it.
        TableError: If members of it are lost.
        ConfigError: If the file cannot be written.
    """
    dataset_id = find_dataset(lake, dataset).dataset_id
    check_members(lake, dataset_id)
    row = fetch(lake, "select * from gold.datasets where dataset_id = $id", params={"id": dataset_id})[0]
    if erased_members(lake.home, dataset_id).rows:
        raise RecipeError(
            f"dataset {row['name']} ({dataset_id}): members of it were erased, and what is left is not this version; "
            "build it anew and freeze that"
        )
    kept = {name: row[name] for name in KEPT}
    text = sealed("".join(_lines(kept, {name: _rows(lake, table, dataset_id) for name, table in PARTS.items()})))
    try:
        write_whole(Path(path), text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}); its folder must exist") from error
    return len(text.encode())


def restore(lake: Lake, path: str | Path) -> Receipt:
    """Record the dataset version of a file that `freeze` wrote; one that is there already is left alone.

    Returns:
        Receipt with counts members and excluded, and details dataset, dataset_id and members_digest.

    Raises:
        ConfigError: If the file is missing, none of ours, or says something else than its version id and digest do.
        RecipeError: If entities of it are not in this lake: how many, and one of them; or were erased from it.
    """
    said = _read(path)
    row = dict(said["dataset"])
    dataset_id = str(row["dataset_id"])
    with step(lake, "restore") as record:
        tables = {name: _table(said[name], table, dataset_id, f"{path}: {name}") for name, table in PARTS.items()}
        rows = {name: _hashed(lake, tables[name], table) for name, table in PARTS.items()}
        found = relation_digest(lake.engine, rows["members"])
        if str(found) != row["members_digest"] or len(tables["exclusions"]) != row["excluded"]:
            raise ConfigError(
                f"{path}: members of digest {found} and {len(tables['exclusions'])} exclusions, expected "
                f"{row['members_digest']} and {row['excluded']}: the file was changed; take it from where it came again"
            )
        _check_counts(row, tables["members"], path)
        gone = erased_entities(lake.home)
        erased = sum(each in gone for each in tables["members"]["entity_id"].to_pylist())
        if erased:
            raise RecipeError(
                f"{path}: {erased} of {row['members']} members were erased from {lake.home} (`petrel erase`); such a "
                "version is not put back: build it anew"
            )
        missing, example = strangers(lake, rows["members"])
        if missing:
            raise RecipeError(
                f"{path}: {missing} of {row['members']} members are not in {lake.home}, for example "
                f"{example}; land their files and make entities of them, then restore it again"
            )
        left_out = tables["exclusions"].filter(
            pc.invert(pc.is_in(tables["exclusions"]["entity_id"], value_set=pa.array(sorted(gone), pa.string())))
        )
        if len(left_out) < len(tables["exclusions"]):
            # Who was left out is no part of the digest: the version is the same without them.
            rows["exclusions"] = _hashed(lake, left_out, DATASET_EXCLUSIONS)
            record.note("erased", "exclusions of entities that were erased are not put back",
                        count=len(tables["exclusions"]) - len(left_out))
        for name, table in PARTS.items():
            record.writes.append(insert(lake, table, rows[name], step="restore"))
        row |= {"pins_json": canonical_json(_pins_here(lake, row)), "built_by": lake.config.lake.author or None}
        record.writes.append(insert_rows(lake, DATASETS, [row], step="restore"))
        record.counts = {"members": row["members"], "excluded": row["excluded"]}
        record.details = {"dataset": row["name"], "dataset_id": dataset_id, "members_digest": row["members_digest"]}
    return record.finished()


def _pins_here(lake: Lake, row: Mapping[str, Any]) -> Pins:
    """Return the versions of the tables here that give the same id, and so are what it was made of; {} if none do."""
    recipe = recipe_of(json.loads(row["recipe_json"]), where=f"dataset {row['name']}")
    try:
        recipe = by_ids(lake.home, recipe)
        _, pins = pinned(lake, recipe)
        read = read_inputs(lake, recipe, pins)
    except (ConfigError, RecipeError, TableError):
        return {}  # As where nobody asked the question here: its labels came with the file.
    named = pins_at(versions_at(lake.home, recipe))
    return {**pins, **named} if read.dataset_id == row["dataset_id"] else {}


def _rows(lake: Lake, table: Table, dataset_id: str) -> pa.Table:
    names = ", ".join(name for name in table.column_names if name not in ("dataset_id", "row_hash"))
    text = f"select {names} from {table.name} where dataset_id = $id order by entity_id"
    return lake.engine.arrow(query(lake, text, params={"id": dataset_id}))


def _lines(dataset: Mapping[str, object], parts: Mapping[str, pa.Table]) -> Iterator[str]:
    """Write what is the same in all rows once, and then a row a line, as git compares them."""
    yield f'{{"format": {FORMAT},\n"dataset": {_json(dataset)}'
    for name, rows in parts.items():
        values = {column: [_plain(each) for each in rows[column].to_pylist()] for column in rows.column_names}
        same = {column: each[0] for column, each in values.items() if each and all(value == each[0] for value in each)}
        columns = [column for column in values if column not in same]
        yield f',\n"{name}": {{"same": {_json(same)}, "count": {len(rows)}, "columns": {_json(columns)}, "rows": ['
        if columns:
            lines = zip(*(values[column] for column in columns), strict=True)
            yield ",".join("\n" + _json(line) for line in lines)
        yield "]}"


def sealed(text: str) -> str:
    """Return the lines of a frozen version with their last one, which is the hash of all others."""
    return text + LAST_LINE.format(sha256_text(text))


def _plain(value: object) -> object:
    """Return a value as JSON has it: a map, which Arrow gives as pairs, as an object."""
    return dict(value) if isinstance(value, list) and value and isinstance(value[0], tuple) else value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _read(path: str | Path) -> dict[str, Any]:
    where = Path(path)
    try:
        if where.stat().st_size > LARGEST:
            raise ConfigError(f"{path}: {where.stat().st_size:,} bytes; such a file has at most {LARGEST:,}")
        text = where.read_text(encoding="utf-8")
        said = json.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give one that `freeze` wrote") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is no JSON; give a file of `petrel dataset freeze`") from error
    if not isinstance(said, dict) or set(said) != set(KEYS) or said["format"] != FORMAT:
        raise ConfigError(f"{path}: is no file of `petrel dataset freeze` of format {FORMAT}")
    if text != sealed(text.rpartition(',\n"sha256"')[0]):
        raise ConfigError(f"{path}: its lines are not those of its last one's hash: the file was changed; take it anew")
    if not isinstance(said["dataset"], dict) or set(said["dataset"]) != set(KEPT):
        raise ConfigError(f"{path}: dataset: expected the keys {', '.join(KEPT)}: the file was changed")
    _check_id(said["dataset"], path)
    return said


def _check_counts(row: Mapping[str, Any], members: pa.Table, where: str | Path) -> None:
    """Check what the row tells beside its id, as far as it follows from its members and digests."""
    counted = {name: count for name, count in Counter(members["split"].to_pylist()).items() if name is not None}
    classes = row["classes_json"]
    try:
        told = {name: count for name, count in json.loads(row["splits_json"]).items() if count}
        labels = json.loads(row["digests_json"]).get("heard.labels")
        is_same = (
            told == counted and row["members"] == len(members)
            and labels == (None if classes is None else sha256_text(classes))
        )  # fmt: skip
    except (AttributeError, TypeError, ValueError):
        is_same = False
    if not is_same:
        raise ConfigError(
            f"{where}: dataset: members, splits_json or classes_json are not those of its members and digests: the "
            "file was changed; take it from where it came again"
        )


def _check_id(row: Any, path: str | Path) -> None:
    """Check that the id is that of what the row says, and that this version of Petrel knows its recipe."""
    try:
        recipe = json.loads(row["recipe_json"])
        content = {
            "recipe": recipe, "digests": json.loads(row["digests_json"]), "contracts": json.loads(row["contracts_json"])
        }  # fmt: skip
        name = recipe_of(recipe, where=f"{path}: recipe").name
        is_whole = content_id(content) == row["dataset_id"] and name == row["name"]
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, RecipeError):
            raise
        raise ConfigError(f"{path}: dataset: is none that `petrel dataset freeze` wrote ({error!r})") from error
    if not is_whole:
        raise ConfigError(
            f"{path}: dataset {row['dataset_id']} is not the id of this recipe, digests and contracts: the file was "
            "changed; take it from where it came again"
        )


def _table(part: Any, table: Table, dataset_id: str, where: str) -> pa.Table:
    schema = pa.schema([table.arrow_schema.field(name) for name in table.column_names if name != "row_hash"])
    try:
        columns, rows, same = part["columns"], part["rows"], part["same"]
        if set(columns) | set(same) != set(schema.names) - {"dataset_id"} and part["count"]:
            raise ValueError(f"columns {sorted({*columns, *same})}")
        lines: Sequence[Sequence[Any]] = rows if columns else [[]] * int(part["count"])
        if len(lines) != part["count"]:
            raise ValueError(f"{len(lines)} rows, expected {part['count']}")
        return pa.Table.from_pylist(
            [same | dict(zip(columns, line, strict=True)) | {"dataset_id": dataset_id} for line in lines], schema
        )
    except (KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise ConfigError(f"{where}: are none that `petrel dataset freeze` wrote ({error})") from error


def _hashed(lake: Lake, rows: pa.Table, table: Table) -> Relation:
    return lake.engine.stage(finished(lake, lake.engine.from_arrow(rows), table, label="restore"))
