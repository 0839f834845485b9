"""What a place of annotation files held when it was imported last, and whether that is still what its actors say.

A note in `_runs/fresh/` spares reading files again that would add nothing. It is only about time: without it they
are read, and by the ids of their answers nothing is added.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.opinions.writing.batch import RETRACTION, Content
from lakehouse.query import fetch
from lakehouse.steps.fresh import Note, find_note, keep_note
from lakehouse.tables.inserted import Inserted
from lakehouse.tables.read import head
from schemas.canonical import canonical_json
from schemas.tables import BATCHES, ENTITY_SOURCES, OPINIONS

STEP = "opinions_place"

SAID_SINCE = """
select distinct o.actor_id, o.question_id, b.uri from silver.opinions o
left join silver.batches b on b.batch_id = o.batch_id
where o.ingest_seq > $newest
"""

RETRACTED_SINCE = f"""
select count(*) as n from silver.batches
where source = $source and format = '{RETRACTION}' and ordinal > $ordinal
"""

MAX_PAIRS = 1_000
"""Actors times questions that a note names; with more of them every later answer is taken for news."""


def is_settled(lake: Lake, content: Content, *, followers: Collection[str] = ()) -> bool:
    """Return whether importing `content` again would add nothing, as far as a note tells.

    Args:
        lake: The lake.
        content: What the place holds now.
        followers: URIs of files that are imported after this one whenever it is: what they brought since is no
            reason to say again what they correct.
    """
    note = find_note(lake, STEP, _place(content))
    if note is None or {name: note.details.get(name) for name in ("content", "landed")} != _held(lake, content):
        return False
    if note.details.get("heads") == _heads(lake):
        return True
    return not _news(lake, content, note, followers)


def standing_now(lake: Lake, items: Relation) -> dict[str, str]:
    """Return what `keep_settled` keeps: who answers what here, and the newest answer that was looked at.

    The caller holds the import lock and has written what `items` make.
    """
    asked = "select distinct actor_id, question_id from items where kind = 'answer'"
    rows = fetch(lake, asked, inputs={"items": items})
    newest = fetch(
        lake,
        "select (select coalesce(max(ingest_seq), 0) from silver.opinions) as seq, "
        "(select coalesce(max(ordinal), 0) from silver.batches) as ordinal",
    )[0]
    return {
        "heads": _heads(lake),
        "newest": str(newest["seq"]),
        "ordinal": str(newest["ordinal"]),
        "answered": canonical_json(sorted([row["actor_id"], row["question_id"]] for row in rows[: MAX_PAIRS + 1])),
    }


def keep_settled(lake: Lake, content: Content, standing: dict[str, str], writes: list[Inserted]) -> None:
    """Note that all there is to import of `content` was imported."""
    details = {name: value for name, value in _held(lake, content).items() if value is not None}
    keep_note(lake, STEP, _place(content), counts={}, details=details | standing, writes=writes)


def _news(lake: Lake, content: Content, note: Note, followers: Collection[str]) -> bool:
    """Whether somebody whose answers are here has said something since, or an import was taken back."""
    params: dict[str, object] = {"source": content.source, "ordinal": int(note.details["ordinal"])}
    if fetch(lake, RETRACTED_SINCE, params=params)[0]["n"]:
        return True
    answered = {tuple(pair) for pair in json.loads(note.details["answered"])}
    return any(
        len(answered) > MAX_PAIRS or (row["actor_id"], row["question_id"]) in answered
        for row in fetch(lake, SAID_SINCE, params={"newest": int(note.details["newest"])})
        if row["uri"] is None or row["uri"] not in followers
    )


def _place(content: Content) -> dict[str, object]:
    return {"source": content.source, "uri": content.uri}


def _held(lake: Lake, content: Content) -> dict[str, str | None]:
    # Where only names are read, other bytes under them are a change as well.
    landed = None if content.landed_source is None else str(head(lake.home, ENTITY_SOURCES))
    return {"content": content.content_id, "landed": landed}


def _heads(lake: Lake) -> str:
    return canonical_json([head(lake.home, table) for table in (OPINIONS, BATCHES)])
