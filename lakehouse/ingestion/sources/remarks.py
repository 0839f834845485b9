"""What looks like a mistake when a folder is landed, and is none that could be refused: told as notes."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import pyarrow as pa

from lakehouse.errors import ConfigError
from lakehouse.ingestion.sources.delivery import still_there
from lakehouse.ingestion.sources.patterns import LeftOut
from lakehouse.ingestion.sources.source import RECORD_FILES, Source
from lakehouse.lake import Lake
from lakehouse.query import fetch
from lakehouse.steps.step import StepRecord

SIMILAR = 0.8
"""Names of sources that are more alike than this may be meant to be one: photo and photos are 0.91."""

BY_SOURCE = """
select source, count(distinct case when substr(uri, 1, {length}) = $prefix and status <> 'refused' then uri end) as here
from bronze.landed_files group by source order by source
"""
"""Every source, and how many of the files that were landed for it are, or were, in this folder."""

NOT_LISTED = """
select b.uri, min(b.path) as path from bronze.landed_files b
where b.source = $source and b.status <> 'refused' and b.container_uri is null and substr(b.uri, 1, {length}) = $prefix
  and not exists (select 1 from listed l where l.uri = b.uri)
group by b.uri order by b.uri
"""


def note_left_out(source: Source, left_out: LeftOut, record: StepRecord, *, seen: int) -> None:
    """Note that nothing was found to land, or that a pattern matched nothing.

    Raises:
        ConfigError: If the folder has files and no `include` pattern matches one.
    """
    examples = ", ".join(left_out.examples)
    if source.include and not seen and left_out.files:
        raise ConfigError(
            f"source {source.name}: none of the {left_out.files:,} files below {source.folder} is wanted by include = "
            f"{list(source.include)} and exclude = {list(source.left_out)}; there are, for example: {examples}"
        )
    if not seen:
        why = "it is empty"
        if left_out.files:
            why = f"exclude leaves out all {left_out.files:,}, for example {examples}"
            why += "; name the ending in include to land such files" if source.exclude == RECORD_FILES else ""
        record.note("nothing_to_land", f"{source.folder}: {why}")
    elif left_out.unmatched:
        record.note(
            "pattern_without_files", f"no file matches include pattern {left_out.unmatched[0]}; left out were, for "
            f"example: {examples or 'none'}", count=len(left_out.unmatched)
        )


def note_sources(lake: Lake, source: Source, record: StepRecord) -> int:
    """Note what looks like one source under two names; return how many files were landed from this folder before."""
    found = fetch(lake, BY_SOURCE.format(**_length(source)), params=_below(source))
    known = {row["source"]: row["here"] for row in found}
    others = [name for name, here in known.items() if here and name != source.name]
    if others and not known.get(source.name):
        record.note("landed_as_another_source", f"files of {source.folder} are in the lake as source `{others[0]}` "
                    "too; answers that name a source are about its files alone")
    if source.name not in known:
        alike = difflib.get_close_matches(source.name, known, n=1, cutoff=SIMILAR)
        if alike:
            record.note("similar_source", f"source `{source.name}` is new; was `{alike[0]}` meant?")
    return int(known.get(source.name, 0))


def count_gone(lake: Lake, source: Source, uris: Sequence[pa.Table], record: StepRecord) -> dict[str, int]:
    """Note the files that were landed from this folder and are in it no more; return them as a count, if any."""
    listed = pa.concat_tables(uris) if uris else pa.table({"uri": pa.array([], pa.string())})
    missing = fetch(
        lake, NOT_LISTED.format(**_length(source)), inputs={"listed": lake.engine.from_arrow(listed)},
        params=_below(source) | {"source": source.name},
    )
    # A pattern may have left it out this time.
    there = still_there(lake.home, [row["uri"] for row in missing])
    gone = [row["path"] for row in missing if row["uri"] not in there]
    if not gone:
        return {}
    kept = "cannot be read any more" if source.mode == "link" else "stay in the lake"
    record.note("gone", f"{gone[0]} was landed from {source.folder} and is not there any more; such files "
                f"{kept}", count=len(gone))
    return {"gone": len(gone)}


def _below(source: Source) -> dict[str, object]:
    return {"prefix": source.address.rstrip("/") + "/"}


def _length(source: Source) -> dict[str, int]:
    return {"length": len(str(_below(source)["prefix"]))}
