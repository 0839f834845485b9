"""README.md of an export as Hugging Face reads it: which files are which split, so that a folder loads by itself."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

from lakehouse.errors import ConfigError
from lakehouse.exporting.columns import columns_of
from lakehouse.exporting.rows import Selection
from lakehouse.exporting.shards import WITHOUT_SPLIT
from lakehouse.exporting.writing import Job
from lakehouse.target import Target

NAME = "README.md"


def put_card(job: Job, target: Target, place: Callable[[str], str], *, apart: bool = False) -> None:
    """Write the card.

    Args:
        job: What is exported.
        target: Where it goes.
        place: From a split (`data` where there is none) to the pattern of its files.
        apart: Each split is a configuration of its own: their files state no types, and readers guess others for each.
    """
    path = job.scratch / f"{uuid.uuid4().hex}.md"
    try:
        path.write_text(_card(job, place, apart), encoding="utf-8")
        if not target.has(NAME, path.stat().st_size):
            target.put(NAME, path)
    finally:
        path.unlink(missing_ok=True)


def split_names(splits: list[str]) -> dict[str, str]:
    """Return split -> its name for Hugging Face, which takes letters, digits and `_` alone.

    Raises:
        ConfigError: If two would have one name.
    """
    found = {split: split.replace("-", "_") for split in splits}
    if len(set(found.values())) < len(found):
        raise ConfigError(f"splits {', '.join(splits)}: Hugging Face knows no `-`, and with `_` two are one")
    return found


def _card(job: Job, place: Callable[[str], str], apart: bool) -> str:
    splits = {split or WITHOUT_SPLIT: count for split, count in job.facts.splits.items()}
    names = split_names(list(splits))
    for split, name in names.items():
        if split != name:
            job.note("split_renamed", f"split {split} is called {name} by Hugging Face")
    files = {each: f"  - split: {names[each]}\n    path: {json.dumps(place(each))}\n" for each in splits}
    configs = {names[each]: text for each, text in files.items()} if apart else {"default": "".join(files.values())}
    front = "".join(f"- config_name: {name}\n  data_files:\n{text}" for name, text in configs.items())
    how = "load_dataset(folder, split)` reads one split" if apart else "load_dataset(folder)` reads it"
    counts = "".join(f"| {names[each]} | {count:,} |\n" for each, count in splits.items())
    columns = "".join(f"| `{name}` | {kind} |\n" for name, kind in columns_of(job.selection).items())
    return (
        f"---\nconfigs:\n{front}---\n\n# {_title(job.selection)}\n\n"
        f"`datasets.{how}: the lines above say which files are which split.\n\n"
        f"| split | rows |\n|---|---|\n{counts}\n| column, beside the bytes | type |\n|---|---|\n{columns}"
    )


def _title(selection: Selection) -> str:
    about = selection.about
    return f"{about['dataset']} ({about['dataset_id']})" if "dataset" in about else "Selected by a query"
