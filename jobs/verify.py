"""Look for damage: tables, counts, objects and published folders are compared with what was written. Changes nothing.

    petrel verify --lake my_lake
    petrel verify --lake my_lake --dataset digits
    petrel verify --lake my_lake --deep

Tables are read whole, objects and published files by name and size; --deep compares every byte. Prints one line for
each damaged thing, with what to do, and ends with 1 if there is one, with 0 if all is whole.
"""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jobs.common import EXIT_ERROR, main_of
from jobs.output import say, say_json
from lakehouse.audit.damage import Checked, Damage
from lakehouse.config import Config
from lakehouse.errors import TableError
from lakehouse.progress import progress

if TYPE_CHECKING:
    from lakehouse.audit.verify import Reading
    from lakehouse.lake import Lake

Row = dict[str, Any]

PUBLISHED = "select dataset_id, folder, content_digest from gold.materialisations"

AGAIN = "remove the folder {folder} and publish it again: petrel materialise --lake {root} --dataset {dataset_id}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("--dataset", metavar="NAME|ID",
                        help="look only at what this dataset (the version built last) or version stands on")
    parser.add_argument("--deep", action="store_true",
                        help="compare every byte of objects, linked files and published files")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.looking import looking

    checked, damaged = Checked(), 0
    with looking(config) as lake:
        for damage in verify(lake, dataset=args.dataset, deep=args.deep, checked=checked):
            damaged += 1
            if args.json:
                say_json(dataclasses.asdict(damage))
            else:
                say(str(damage))
    if args.json:
        counts = dict(checked.counts)
        found = {"damaged": damaged, "deep": args.deep, "checked": counts, "notes": checked.notes}
        say_json({"lake": lake.home.address, **found})
    else:
        for note in checked.notes:
            say(note)
        looked_at = ", ".join(f"{count:,} {kind}" for kind, count in checked.counts.items() if count)
        verdict = f"{damaged:,} damaged" if damaged else "all whole"
        say(f"{lake.home}: {verdict}; looked at {looked_at}{'' if args.deep else '; --deep reads every byte'}")
    return EXIT_ERROR if damaged else 0


def verify(
    lake: Lake, *, dataset: str | None, deep: bool, checked: Checked, reading: Reading | None = None
) -> Iterator[Damage]:
    """Yield everything that is damaged: what `lakehouse.verify` finds, then what is published; arguments as there.

    Raises:
        RecipeError: If there is no such dataset.
    """
    from lakehouse.audit.verify import verify as verify_lake

    yield from verify_lake(lake, dataset=dataset, deep=deep, checked=checked, reading=reading)
    stated, unread = _stated(lake)
    if unread is not None:
        yield unread
    folders = [each for each in _folders(lake, stated) if checked.dataset_id in (None, _id_of(each))]
    with progress("look at published folders", total=len(folders), unit="folders") as advance:
        for folder in folders:
            checked.counts["published folders"] += 1
            yield from _in_folder(lake, folder, stated.get(_id_of(folder)), deep=deep)
            advance(1)
    for dataset_id, row in stated.items():
        if checked.dataset_id in (None, dataset_id) and row["folder"] not in folders:
            checked.notes.append(f"{lake.home}/{row['folder']} was published and removed since, which is no damage")


def _folders(lake: Lake, stated: Mapping[str, Row]) -> list[str]:
    """Return the folders in which versions are published, sorted, by their names among the files of the lake."""
    if lake.home.is_local:
        # Beside the versions stands what a killed run had finished, `.staging-...`; it is not published.
        return sorted(each.relative_to(lake.datasets.parent).as_posix() for each in lake.datasets.glob("*/[!.]*"))
    found: dict[str, set[str]] = {}
    for told in lake.files.list("datasets"):
        steps = told.name.split("/")
        found.setdefault("/".join(steps[:3]), set()).add("/".join(steps[3:]))
    # Of a killed run the files are there, and `_dataset.json` is not.
    return sorted(folder for folder, names in found.items() if "_dataset.json" in names or _id_of(folder) in stated)


def _id_of(folder: str) -> str:
    return folder.rsplit("/", 1)[-1]


def _stated(lake: Lake) -> tuple[dict[str, Row], Damage | None]:
    """Return dataset id -> what was recorded of its publication; with a damage if that cannot be read."""
    from lakehouse.query import fetch
    from schemas.tables import MATERIALISATIONS

    try:
        return {row["dataset_id"]: row for row in fetch(lake, PUBLISHED)}, None
    except TableError as error:
        return {}, Damage("unchecked", MATERIALISATIONS.name, f"records of what was published cannot be read: {error}")


def _in_folder(lake: Lake, folder: str, stated: Row | None, *, deep: bool) -> Iterator[Damage]:
    from lakehouse.materialise.published import published_files
    from loaders import damages, read_dataset

    files, name = published_files(lake.home, folder), folder.removeprefix("datasets/")
    mend = AGAIN.format(folder=files.root, root=shlex.quote(lake.home.address), dataset_id=_id_of(folder))
    try:
        found = list(damages(files, deep=deep))
    except OSError as error:
        if not files.is_local:
            raise  # a network that fails damages nothing
        found = [f"{files.root} cannot be read ({error.strerror})"]
    if not found:
        held = read_dataset(files)
        expected = {"dataset": _id_of(folder)} | ({"content": stated["content_digest"]} if stated else {})
        actual = {"dataset": held.dataset_id, "content": str(held.content_digest)}
        found = [f"{files.root}: expected {each} {value}, found {actual[each]}" for each, value in expected.items()
                 if actual[each] != value]
    yield from (Damage("published", name, f"{problem}; {mend}") for problem in found)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
