"""Many small operations on a lake, as people do them day after day, and what must be in it afterwards.

done = Operations(address, folder)
done.work(60)                                   # also where the store fails now and then
assert done.missing_and_doubled(overrides) == ({}, {})
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from lakehouse.config import load_config
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.errors import PetrelError
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.lake import Lake
from lakehouse.opening import open_lake
from lakehouse.opinions.predictions import record_opinions
from lakehouse.tables.insert import insert_rows
from schemas.tables import ACTORS

KEYS = {"bronze.landed_files": "uri", "silver.actors": "name", "silver.opinions": "actor_id"}
"""Table -> column that tells what an operation wrote."""
TRIES = 6
"""How often an operation is run again that failed, as people do."""


@dataclass
class Operations:
    """A lake that is worked on, and the rows that it was told about.

    Attributes:
        expected: Table -> key of each row that must be in it once.
        failed: What was said by operations that ended with an error and were run again.
    """

    address: str
    folder: Path
    overrides: Sequence[str] = ()
    expected: dict[str, set[str]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def work(self, count: int) -> None:
        """Do so many operations: half of them appends, the rest lands files, makes entities, records and builds."""
        with self.open() as lake:
            for number in range(count):
                self._again(lambda number=number: self._operation(lake, number))  # type: ignore[misc]
            self._again(lambda: self._entities(lake))

    def open(self, *overrides: str):  # type: ignore[no-untyped-def]
        """Open the lake; made if there is none."""
        root = f"lake.root={json.dumps(self.address)}"
        return open_lake(load_config(overrides=[root, "engine.workers=1", *self.overrides, *overrides]), create=True)

    def missing_and_doubled(self, *overrides: str) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
        """Return what the tables lack, and what they have twice, by table; read with these settings."""
        missing, doubled = {}, {}
        with self.open(*overrides) as lake:
            for table, keys in self.expected.items():
                found = Counter(lake.read_table(table).column(KEYS[table]).to_pylist())
                if lost := keys - set(found):
                    missing[table] = lost
                if twice := {key for key in keys if found[key] > 1}:
                    doubled[table] = twice
        return missing, doubled

    def _again(self, operation: Callable[[], None]) -> None:
        for left in range(TRIES, 0, -1):
            try:
                operation()
            except (PetrelError, OSError) as error:
                if left == 1:
                    raise
                self.failed.append(f"{type(error).__name__}: {error}")
            else:
                return

    def _operation(self, lake: Lake, number: int) -> None:
        if number % 30 == 29:
            self._entities(lake)
            build(lake, Recipe(name="all"))
        elif number % 4 == 1:
            self._land(lake, number)
        elif number % 4 == 3 and number > 30:
            self._record(lake, number)
        else:
            name = f"actor {number}"
            self.expected.setdefault("silver.actors", set()).add(name)
            insert_rows(lake, ACTORS, [{"actor_id": f"human:{number}", "kind": "human", "name": name}], step="test")

    def _land(self, lake: Lake, number: int) -> None:
        drop = self.folder / f"drop {number}"
        drop.mkdir(parents=True, exist_ok=True)
        path = drop / "picture.png"
        if not path.exists():
            Image.new("RGB", (4, 4), (number % 256, number // 256, 1)).save(path)
        land(lake, Source(name=f"drop{number}", folder=str(drop)))
        self.expected.setdefault("bronze.landed_files", set()).add(path.absolute().as_uri())

    def _entities(self, lake: Lake) -> None:
        entities(lake)

    def _record(self, lake: Lake, number: int) -> None:
        first = lake.read_table("silver.entities", columns=["entity_id"]).column("entity_id")[0].as_py()
        actor = f"human:ann{number}"
        record_opinions(lake, [{"entity_id": first, "label": "cat"}], source="said", question="animal", actor=actor)
        self.expected.setdefault("silver.opinions", set()).add(actor)
