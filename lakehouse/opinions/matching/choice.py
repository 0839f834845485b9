"""Choosing among things that a name may mean: by the folder that the source names, else none; and saying how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

MATCH_COLUMNS: dict[str, pa.DataType] = {
    "asked": pa.string(), "subject_id": pa.string(), "candidates": pa.int64(), "note": pa.string(),
    "fitting": pa.string(),
}
MATCHED = pa.schema(list(MATCH_COLUMNS.items()))
"""One row per name that something fits: the entity, how many fit equally well, "rule: text" of a guess, examples."""

CHOSEN = pa.schema([*MATCH_COLUMNS.items(), ("guessed", pa.int32())])

WAYS = {
    "unquoted": ("matched_unquoted", "without its percent signs"),
    "url": ("matched_by_url", "the path in its URL"),
    "upload": ("matched_by_upload", "without what Label Studio puts before an upload"),
    "case": ("matched_by_case", "in another case"),
    "stem": ("matched_by_stem", "with another ending"),
    "tail": ("matched_by_tail", "without the folders before it"),
}
"""How a name was guessed -> rule of the note, and what it says."""


def choose(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield `CHOSEN`: of several entities of one name the one that lies in the folder the source names."""
    for batch in batches:
        yield pa.RecordBatch.from_pylist([_choice(row) for row in batch.to_pylist()], schema=CHOSEN)


def _choice(row: Mapping[str, object]) -> dict[str, object]:
    found = [each.split(" ", 1) for each in sorted(_texts(row["places"]))]
    paths = sorted(path for _, path in found)
    way, key = str(row["way"]), str(row["subject_key"])
    made = {"asked": row["asked"], "subject_id": row["subject_id"], "candidates": row["candidates"],
            "guessed": int(way != "name"), "fitting": " and ".join(paths[:2]) or None, "note": None}
    said = []
    folders = str(row["folders"] or "").splitlines()
    if len({entity for entity, _ in found}) > 1 and folders:
        picks = {pick for folder in folders if (pick := _in_folder(found, folder)) is not None}
        if len(picks) == 1:
            made |= {"subject_id": picks.pop(), "candidates": 1}
            chosen = next(path for entity, path in found if entity == made["subject_id"])
            said.append(("matched_by_folder", f"of {len(found)} of that name, {chosen} lies in the folder it names"))
    if way != "name" and made["candidates"] == 1:
        chosen = next(path for entity, path in found if entity == made["subject_id"])
        said.insert(0, (WAYS[way][0], f"{key!r} is not known; {chosen} is, {WAYS[way][1]}"))
    if made["candidates"] != 1:
        made["subject_id"] = None
    if said:
        made["note"] = f"{said[0][0]}: {'; '.join(text for _, text in said)}"
    return made


def _in_folder(found: Sequence[Sequence[str]], folder: str) -> str | None:
    """Return the one entity whose path has most folders in common with `folder`, counted from the end."""
    asked = _parts(folder)
    common: dict[str, int] = {}
    for entity, path in found:
        common[entity] = max(common.get(entity, 0), _common_tail(_parts(path)[:-1], asked))
    most = max(common.values())
    best = [entity for entity, number in common.items() if number == most]
    return best[0] if most and len(best) == 1 else None


def _parts(path: str) -> list[str]:
    return [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]


def _common_tail(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    while count < min(len(one), len(other)) and one[-1 - count] == other[-1 - count]:
        count += 1
    return count


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []
