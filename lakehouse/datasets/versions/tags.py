"""Tags: names that people give to versions of datasets. Append-only: a tag that moves is a row more."""

from __future__ import annotations

import re
from typing import Any

from lakehouse.datasets.versions.find import find_dataset
from lakehouse.datasets.versions.named import PREFIX, VERSION_ID
from lakehouse.errors import ConcurrentWriteError, ConfigError
from lakehouse.lake import Lake
from lakehouse.query import fetch
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import step
from lakehouse.tables.insert import insert_rows
from schemas.tables import DATASET_TAGS

TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LONGEST_MESSAGE = 1_000

HELD = "select ordinal, dataset_id from gold.dataset_tags where name = $name and tag = $tag order by ordinal desc"

TAGS = """
select t.name, t.tag, t.ordinal, t.dataset_id, t.message, t.tagged_by, t.tagged_at,
    t.ordinal = max(t.ordinal) over (partition by t.name, t.tag) as holds
from gold.dataset_tags t where $name is null or t.name = $name
order by t.name, t.tag, t.ordinal desc
"""


def tag_dataset(lake: Lake, dataset: str, tag: str, *, message: str = "") -> Receipt:
    """Name a version of a dataset.

    Args:
        lake: The lake.
        dataset: As `find_dataset`: NAME for the version built last, an id, NAME@ID, NAME@TAG.
        tag: Letters, digits, `.`, `_` and `-`, 64 at most, and no hexadecimal number of 6 digits and more, which is how
            ids begin. One that names another version of this dataset moves: the receipt notes from where.
        message: Why, for people.

    Returns:
        Receipt with counts new (1, or 0 where it names that version already) and moved, and details dataset,
        dataset_id, tag and, of one that moved, moved_from.

    Raises:
        RecipeError: If there is no such dataset.
        ConfigError: If the tag cannot be one.
        ConcurrentWriteError: If somebody else set the same tag at the same moment.
    """
    if not TAG.fullmatch(tag) or PREFIX.fullmatch(tag) or VERSION_ID.fullmatch(tag):
        raise ConfigError(
            f"tag {tag!r}: expected up to 64 letters, digits, dots, _ and -, and nothing that an id begins with "
            "(a hexadecimal number of 6 digits and more)"
        )
    if len(message) > LONGEST_MESSAGE:
        raise ConfigError(f"message of tag {tag}: {len(message):,} characters; at most {LONGEST_MESSAGE:,}")
    with step(lake, "dataset_tag") as record:
        version = find_dataset(lake, dataset)
        held = fetch(lake, HELD, params={"name": version.name, "tag": tag})
        before = held[0]["dataset_id"] if held else None
        record.details = {"dataset": version.name, "dataset_id": version.dataset_id, "tag": tag}
        record.counts = {"new": 0, "moved": 0}
        if before != version.dataset_id:
            row = {
                "name": version.name, "tag": tag, "ordinal": held[0]["ordinal"] + 1 if held else 1,
                "dataset_id": version.dataset_id, "message": message or None,
                "tagged_by": lake.config.lake.author or None,
            }  # fmt: skip
            written = insert_rows(lake, DATASET_TAGS, [row], step="dataset_tag")
            if not written.rows_new:
                raise ConcurrentWriteError(f"{version.name}@{tag}: somebody set it at this moment; run it again")
            record.writes.append(written)
            record.counts = {"new": 1, "moved": int(before is not None)}
        if before not in (None, version.dataset_id):
            record.details["moved_from"] = str(before)
            record.note("tag_moved", f"{version.name}@{tag} named {before}, and names {version.dataset_id} now")
    return record.finished()


def dataset_tags(lake: Lake, name: str | None = None) -> list[dict[str, Any]]:
    """Return every row of the tags of all datasets, or of one: by name and tag, the newest first.

    Returns:
        Rows with name, tag, ordinal, dataset_id, message, tagged_by, tagged_at (UTC) and holds: whether it is what
        the tag names now.
    """
    return fetch(lake, TAGS, params={"name": name})
