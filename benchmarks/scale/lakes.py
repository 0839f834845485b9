"""Lakes of any size, made fast: tables written directly through the committer of the library, without any media.

    python -m benchmarks.scale.lakes FOLDER --lake-size 1M

An entity has measured dimensions and answers, by default ten and three; rows, hashes and digests depend on its number
alone. The lake is one that `petrel verify` accepts, but for the bytes of the objects, which nobody wrote.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from lakehouse.config import load_config
from lakehouse.engines.commit import append_batches
from lakehouse.engines.protocol import Commit
from lakehouse.extractors.registry import extractors
from lakehouse.lake import Lake
from lakehouse.opening import open_lake
from lakehouse.opinions.ids import value_hash
from lakehouse.opinions.questions import question_rows
from lakehouse.opinions.reading.answer import Answer
from lakehouse.place import is_lake
from lakehouse.tables.finish import finish_batch
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.read import digest_at, head
from lakehouse.verification.entries import entry_sha256
from lakehouse.verification.facts import commit_facts
from lakehouse.verification.places import place_of
from lakehouse.verification.tables import note_commit
from schemas.digest import digest_of
from schemas.model import Table
from schemas.tables import (
    ACTORS,
    BATCHES,
    DIMENSIONS,
    ENTITIES,
    ENTITY_SOURCES,
    LABEL_SETS,
    LANDED_FILES,
    OPINIONS,
    QUESTIONS,
)  # fmt: skip

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SUFFIXES = {"k": 1_000, "M": 1_000_000}
CHUNK = 100_000
"""Entities of one commit."""

LABELS = tuple(f"class_{number}" for number in range(10))
ACTOR_IDS = ("human:ann", "human:bo", "human:cy")
QUESTION = "class"
DIMENSIONS_EACH = 10

Columns = Mapping[str, object]


def entities_of(size: str) -> int:
    """Read a size: `10k`, `1M` or a plain number of entities."""
    return int(size[:-1]) * SUFFIXES[size[-1]] if size[-1:] in SUFFIXES else int(size)


def make_lake(
    folder: Path, entities: int, *, answers: int = 3, rounds: int = 1, dimensions: int = DIMENSIONS_EACH,
    scene: int = 0, identify: Callable[[int], str] | None = None,
) -> Path:
    """Make a lake of so many entities in `folder`, unless it is there.

    Args:
        folder: Of the lake; missing or empty, else a lake that was made here before.
        entities: How many.
        answers: Answers about each entity, by one actor each, at most three.
        rounds: How often each actor answers, in a slot of its own; the first one is `""`.
        dimensions: Dimension rows of each entity, at most ten.
        scene: So many entities, one after the other, have one value of the group key `scene`; 0: nothing has a key.
        identify: From the number of an entity to its id, where its bytes are written too; None: nobody writes any.
    """
    if is_lake(folder):
        return folder
    identify = identify or entity_id
    with _opened(folder, create=True) as lake:
        _say_who_and_what(lake, entities * answers * rounds)
        for ids, numbers in _chunks(range(entities), identify):
            for table, columns in _tables(ids, numbers, answers, dimensions, scene):
                _append(lake, table, columns, len(ids))
            for number in range(1, rounds):
                for columns in _answers(ids, numbers, answers, entities=entities, number=number):
                    _append(lake, OPINIONS, columns, len(ids))
    return folder


def grow_lake(folder: Path, numbers: range, *, answers: int, dimensions: int, scene: int) -> None:
    """Add entities of these numbers, and what is known about them, to a lake that `make_lake` made of others."""
    with _opened(folder) as lake:
        for ids, chunk in _chunks(numbers, entity_id):
            for table, columns in _tables(ids, chunk, answers, dimensions, scene):
                _append(lake, table, columns, len(ids))


def _opened(folder: Path, *, create: bool = False) -> AbstractContextManager[Lake]:
    config = load_config(overrides=[f'lake.root="{folder}"'], environ={})
    return open_lake(config, create=create, clock=lambda: NOW)


def _chunks(numbers: range, identify: Callable[[int], str]) -> Iterable[tuple[list[str], range]]:
    for start in range(0, len(numbers), CHUNK):
        chunk = numbers[start : start + CHUNK]
        yield [identify(number) for number in chunk], chunk


def entity_id(number: int) -> str:
    """Return the id of an entity by its number from 0."""
    return hashlib.sha256(f"scale {number}".encode()).hexdigest()


def path_of(number: int) -> str:
    """Return where an entity lay in its drop."""
    return f"{number % 1000:03}/{number:09}.png"


def _say_who_and_what(lake: Lake, opinions: int) -> None:
    actors = [{"actor_id": each, "kind": "human", "name": each.removeprefix("human:")} for each in ACTOR_IDS]
    insert_rows(lake, ACTORS, actors, step="scale")
    key = (QUESTION, 1)
    questions, labels = question_rows(lake, None, {key: {"label"}}, {key: set(LABELS)})
    insert_rows(lake, LABEL_SETS, labels, step="scale")
    insert_rows(lake, QUESTIONS, questions, step="scale")
    batch = {
        "batch_id": "scale", "source": "scale", "system": "", "content_id": "scale", "content_sha256": "scale",
        "format": "csv", "options_json": "{}", "importer_version": 1, "ordinal": 1, "rows_read": opinions,
        "rows_new": opinions, "rows_same": 0, "rows_rejected": 0, "rows_unmatched": 0,
    }  # fmt: skip
    insert_rows(lake, BATCHES, [batch], step="scale")


def _tables(
    ids: Sequence[str], numbers: range, answers: int, dimensions: int, scene: int
) -> Iterable[tuple[Table, Columns]]:
    group_keys = [{"scene": f"scene_{number // scene:07}"} if scene else {} for number in numbers]
    paths = [path_of(number) for number in numbers]
    found = {"entity_id": ids, "media_type": "image/png", "size_bytes": 1000, "storage": "copy", "origin": "real",
             "object_uri": [f"objects/{each[:2]}/{each}" for each in ids], "group_keys": group_keys}
    yield ENTITIES, found
    names = {"path": paths, "name": [path.rpartition("/")[2] for path in paths], "source": "scale", "drop_name": "d1",
             "uri": [f"file:///scale/{path}" for path in paths], "landed_id": [each[:32] for each in ids],
             "group_keys": group_keys}
    yield LANDED_FILES, names | {"size_bytes": 1000, "status": "stored", "sha256": ids, "origin": "real",
                                 "object_uri": found["object_uri"]}
    yield ENTITY_SOURCES, names | {"entity_id": ids}
    for place, (extractor, version, dimension, kind) in enumerate(_measured()[:dimensions]):
        random = np.random.default_rng([numbers.start, place])
        number = random.random(len(ids)) if kind == "number" else random.integers(0, 4000, len(ids)).astype(float)
        text = [f"text {each}" for each in random.integers(0, 5, len(ids))]
        yield DIMENSIONS, {
            "entity_id": ids, "dimension": dimension, "extractor": extractor, "extractor_version": version,
            "value_kind": kind, "unit": "1", "number": None if kind == "text" else number,
            "text": text if kind == "text" else None,
        }  # fmt: skip
    for columns in _answers(ids, numbers, answers):
        yield OPINIONS, columns


def _answers(
    ids: Sequence[str], numbers: range, answers: int, *, entities: int = 0, number: int = 0
) -> Iterable[Columns]:
    """Yield one answer of each actor about each entity; `number` counts rounds from 0."""
    slot = str(number) if number else ""
    for place, actor in enumerate(ACTOR_IDS[:answers]):
        seed = [numbers.start, place, 1 + number]
        chosen = np.random.default_rng(seed).integers(0, len(LABELS), len(ids))
        hashes = [value_hash(_answer(actor, label)) for label in LABELS]
        first = (1 << 32) + (number * entities + numbers.start) * answers + place * len(ids)
        said = f"{actor} {slot} " if slot else f"{actor} "
        yield {
            "opinion_id": [hashlib.sha256(f"{said}{each}".encode()).hexdigest()[:32] for each in ids],
            "op": "assert", "actor_id": actor, "question_id": QUESTION, "question_version": 1, "subject_id": ids,
            "subject_kind": "image", "slot": slot, "value_kind": "label", "votes": 1, "event_time_source": "unknown",
            "label": pa.array(LABELS).take(pa.array(chosen)), "value_hash": pa.array(hashes).take(pa.array(chosen)),
            "ingest_seq": range(first, first + len(ids)), "batch_id": "scale",
        }  # fmt: skip


def _answer(actor: str, label: str) -> Answer:
    return Answer(actor_id=actor, question_id=QUESTION, question_version=1, subject_key="", value_kind="label",
                  value=label)


def _measured() -> list[tuple[str, int, str, str]]:
    """Ten dimensions, of every extractor of pictures: otherwise all entities would be due."""
    kinds = ("number", "integer", "text")
    each = [[(known.name, known.version, dimension.name, dimension.kind) for dimension in known.dimensions
             if dimension.kind in kinds] for known in extractors() if "image/" in known.media_types]
    pixels_last = [dimension for several in reversed(each) for dimension in several[:5]]
    return pixels_last[:DIMENSIONS_EACH]


def _append(lake: Lake, table: Table, columns: Columns, rows: int) -> None:
    """Commit rows as `lakehouse.tables.insert` does, without asking for their keys: they are new."""
    place, before = place_of(lake.root, table), head(lake.root, table)
    made = finish_batch(_batch(table, columns, rows), table, NOW)
    for name in table.commit_columns:
        made = made.set_column(made.schema.get_field_index(name), made.schema.field(name),
                               pa.repeat(pa.scalar(before + 1, pa.int64()), rows))
    added = digest_of(bytes.fromhex(each) for each in made.column("row_hash").to_pylist())
    facts = commit_facts(step="scale", engine="embedded", added=rows, digest=digest_at(lake, table, before) + added,
                         version=before + 1, previous=entry_sha256(place, before))
    commit = Commit(app_id=f"scale-{before + 1}", facts=facts, schema=table.arrow_schema, read_version=before)
    note_commit(place, append_batches(place.folder, [made], commit))


def _batch(table: Table, columns: Columns, rows: int) -> pa.RecordBatch:
    arrays = {name: _array(value, table.arrow_schema.field(name).type, rows) for name, value in columns.items()
              if name in table.column_names}
    return pa.RecordBatch.from_pydict(arrays)


def _array(value: object, kind: pa.DataType, rows: int) -> pa.Array:
    if value is None or isinstance(value, str | int):
        return pa.repeat(pa.scalar(value, kind), rows)
    return value.cast(kind) if isinstance(value, pa.Array) else pa.array(value, kind)


def main(argv: Sequence[str] | None = None, *, say: Callable[[str], object] = print) -> None:
    """Make a lake."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lake-size", default="10k", help="entities, as 10k or 1M")
    parser.add_argument("--answers", type=int, default=3, help="opinions of each entity, 0 to 3")
    arguments = parser.parse_args(argv)
    say(str(make_lake(arguments.folder, entities_of(arguments.lake_size), answers=arguments.answers)))


if __name__ == "__main__":
    main()
