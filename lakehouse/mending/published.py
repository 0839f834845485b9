"""Mending a published version: its files from a copy of the lake, or out of the way so that it is published again."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Iterator

from lakehouse.audit.verify import verify
from lakehouse.care.copied import DATASETS, Known, known_published, published_storage
from lakehouse.care.transfer import transfer, writable
from lakehouse.errors import ConfigError, PetrelError, TableError
from lakehouse.ingestion.storing.held import is_held
from lakehouse.lake import Lake
from lakehouse.mending.mended import Mended
from lakehouse.query import fetch
from loaders.format.manifest import DATASET, Dataset, read_dataset
from loaders.publishing.drafts import mark_unfinished
from loaders.stores.storage import Storage

BUILT = "select 1 as n from gold.datasets where dataset_id = $id and name = $name"

STATED = "select content_digest from gold.materialisations where dataset_id = $id"


def mend_published(lake: Lake, what: str, copy: Lake) -> Iterator[Mended]:
    """Put the files of a published version right from a copy of the lake; what no manifest lists is removed.

    Args:
        lake: From `looking`.
        what: `<name>/<version id>`.
        copy: Also from `looking`.

    Raises:
        LoaderError: If the copy's own is damaged.
        ConfigError: If the copy has other rows under this id.
    """
    theirs, ours = published_storage(copy.home, what), published_storage(lake.home, what)
    expected, found = read_dataset(theirs), _read(ours)
    _check_content(lake, what, expected)
    if found is not None and found.to_json() != expected.to_json():
        raise ConfigError(
            f"{copy.home}/{DATASETS}/{what} was written apart from ours, in other files; publish it again: "
            f"leave --from away"
        )
    listed = list(known_published(copy.home, what))
    for known in listed:
        name = f"{DATASETS}/{what}/{known.name}"
        if not _is_whole(ours, theirs, known):
            why = transfer(theirs, known.name, writable(lake.home), name, size=known.size, sha256=known.sha256)
            done = f"not mended: the copy has {why}" if why else "put back from the copy"
            yield Mended(what, name, not why, done)
    names = {f"{DATASETS}/{what}/{known.name}" for known in listed}
    for each in list(lake.files.list(f"{DATASETS}/{what}")):
        if each.name not in names:
            lake.files.delete(each.name)
            yield Mended(what, each.name, True, "removed: no manifest lists it")


def withdraw(lake: Lake, what: str) -> None:
    """Take a damaged published version away, all of it at once for readers, so that it can be published again.

    Raises:
        ConfigError: If this lake did not build it, or what it is made of is damaged: it could not be published again.
    """
    name, _, dataset_id = what.partition("/")
    if not fetch(lake, BUILT, params={"id": dataset_id, "name": name}):
        raise ConfigError(f"{what}: no dataset version of {lake.home}, which could be published again")
    if (damage := next(verify(lake, dataset=dataset_id, deep=True), None)) is not None:
        raise ConfigError(f"{what}: cannot be published again before this is mended: {damage}")
    if lake.home.is_local:
        folder = lake.datasets / name / dataset_id
        if folder.exists():
            aside = folder.with_name(f".staging-{uuid.uuid4().hex}")
            folder.rename(aside)
            shutil.rmtree(aside)
        return
    # Marked as on its way, it is what its `_dataset.json` says; without that a reader sees none of its splits.
    mark_unfinished(lake.files, f"{DATASETS}/{what}")
    lake.files.delete(f"{DATASETS}/{what}/{DATASET}")
    for each in list(lake.files.list(f"{DATASETS}/{what}")):
        lake.files.delete(each.name)


def _read(files: Storage) -> Dataset | None:
    try:
        return read_dataset(files)
    except PetrelError:
        return None


def _check_content(lake: Lake, what: str, expected: Dataset) -> None:
    dataset_id = what.partition("/")[2]
    try:
        stated = fetch(lake, STATED, params={"id": dataset_id})
    except TableError:
        stated = []
    if expected.dataset_id != dataset_id or any(
        row["content_digest"] != str(expected.content_digest) for row in stated
    ):
        raise ConfigError(f"the copy's {DATASETS}/{what} has other rows than were published here; leave --from away")


def _is_whole(ours: Storage, theirs: Storage, known: Known) -> bool:
    sha256 = known.sha256
    if sha256 is None:
        try:
            sha256 = hashlib.sha256(theirs.read_whole(known.name)).hexdigest()
        except FileNotFoundError:
            return True
    return is_held(ours, known.name, known.size, sha256)
