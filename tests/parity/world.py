"""A small world that goes the whole way: pictures in folders, a sidecar, votes that disagree, two recipes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deltalake import DeltaTable
from PIL import Image

from lakehouse.config import load_config
from lakehouse.datasets.build import build
from lakehouse.datasets.policies.settings import Label
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.recipes.sections.select import Select
from lakehouse.datasets.recipes.sections.split import Split
from lakehouse.datasets.recipes.sections.strata import Strata
from lakehouse.dimensions.step import dimensions as measure_dimensions
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.lake import Lake
from lakehouse.materialise.step import materialise
from lakehouse.opening import open_lake
from lakehouse.opinions.step import OpinionSource
from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.steps.receipts import Receipt
from lakehouse.tables.read import digest_at, head, table_path
from schemas.canonical import row_hash
from schemas.digest import Digest
from schemas.tables import TABLES
from tests.making import Clock

NOW = datetime(2026, 3, 4, 5, 6, 7, 891234, tzinfo=UTC)
LABELS = ("chat", "chien", "été")


@dataclass(frozen=True)
class World:
    """Folder with everything that comes in from outside."""

    folder: Path

    @property
    def source(self) -> Source:
        """Where the pictures are."""
        return Source(
            name="camera",
            folder=str(self.folder / "drop"),
            sidecar="about.csv",
            sidecar_key="path",
            group_keys={"session": "session"},
            captured_at="taken",
            licence="CC0",
            campaign="spring",
        )

    @property
    def votes(self) -> OpinionSource:
        """Counted votes of a pool, and one line about a picture that nobody has."""
        return OpinionSource(
            format="csv",
            path=str(self.folder / "votes.csv"),
            question="animal",
            actor="pool:crowd",
            source="camera",
            name="crowd",
            options={"columns": {"subject": "file", "label": "label", "votes": "votes"}},
        )

    @property
    def experts(self) -> OpinionSource:
        """One answer of a person for each picture, with a time."""
        return OpinionSource(
            format="csv",
            path=str(self.folder / "experts.csv"),
            question="animal",
            actor="human:unnamed",
            source="camera",
            name="experts",
            abstain_allowed=True,
            options={
                "columns": {"subject": "file", "label": "label", "actor": "who", "time": "at"},
                "actor_prefix": "human:",
                "abstain": ["?"],
            },
        )


def make_world(folder: Path, *, pictures: int = 24) -> World:
    """Write the files: pictures of three labels, one bad, one twice, names that are not ASCII."""
    drop = folder / "drop"
    votes, experts, about = ["file,label,votes"], ["file,who,label,at"], ["path,session,taken"]
    for number in range(pictures):
        label = LABELS[number % 3]
        path = drop / label / f"im é {number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.new("RGB", (9 + number % 4, 7), (7 * number % 256, 50, 200))
        picture.putpixel((0, 0), (number, number % 7, 0))
        picture.save(path)
        name = f"{label}/{path.name}"
        other = LABELS[(number + 1) % 3]
        votes += [f"{name},{label},{3 + number % 3}", f"{name},{other},{1 + number % 4}"]
        said = "?" if number % 8 == 7 else label
        experts.append(f"{name},ann,{said},2026-01-02T03:04:{number % 60:02}.123456+02:00")
        about.append(f"{name},s{number // 3},2025-12-31T23:59:{number % 60:02}Z")
    votes.append("nobody.png,chat,2")
    (drop / "chat" / "cut.png").write_bytes((drop / "chat" / "im é 0.png").read_bytes()[:40])
    (drop / "chat" / "empty.png").touch()
    shutil.copy(drop / "chat" / "im é 0.png", drop / "chien" / "again.png")
    (drop / "about.csv").write_text("\n".join(about), encoding="utf-8")
    (folder / "votes.csv").write_text("\n".join(votes), encoding="utf-8")
    (folder / "experts.csv").write_text("\n".join(experts), encoding="utf-8")
    return World(folder)


MAJORITY = Recipe(
    name="majority",
    seed=3,
    question="animal",
    select=Select(sql="select entity_id from entities_wide where width >= $least", params={"least": 10}),
    label=Label(kinds=("pool",), quorum=2),
    strata=Strata(by=("label", "mode"), max=5),
    split=Split(ratios={"train": 0.6, "test": 0.4}, group="session"),
)
PLAIN = Recipe(name="plain", seed=4)

STEPS: Mapping[str, Callable[[Lake, World], Receipt]] = {
    "land": lambda lake, world: land(lake, world.source),
    "entities": lambda lake, world: entities(lake),
    "dimensions": lambda lake, world: measure_dimensions(lake),
    "votes": lambda lake, world: import_opinions(lake, world.votes),
    "experts": lambda lake, world: import_opinions(lake, world.experts),
    "majority": lambda lake, world: build(lake, MAJORITY),
    "plain": lambda lake, world: build(lake, PLAIN),
    "materialise": lambda lake, world: materialise(lake, MAJORITY.name),
}
"""Every step of the way, in order."""


@contextmanager
def opened(root: Path, engine: str) -> Iterator[Lake]:
    """A lake whose clock stands still, on `embedded`, `spark` alone, or Spark with small relations on the `driver`."""
    driver_mb = 64 if engine == "driver" else 0
    settings = [f'lake.root="{root}"', "engine.workers=2", f"engine.driver_mb={driver_mb}"]
    config = load_config(overrides=settings, environ={})
    name = "spark" if engine == "driver" else engine
    with open_lake(config, engine=name, clock=Clock(NOW), create=True) as lake:
        yield lake


def go(root: Path, world: World, engines: Mapping[str, str], *, notes: bool = True) -> dict[str, Receipt]:
    """Go the whole way; `engines` names the engine of each step. `notes=False` forgets that steps ran before."""
    receipts = {}
    for name, run in STEPS.items():
        if not notes:
            shutil.rmtree(root / "_runs" / "fresh", ignore_errors=True)
        with opened(root, engines[name]) as lake:
            receipts[name] = run(lake, world)
    return receipts


def digests(root: Path) -> dict[str, str]:
    """Return table name -> digest as its last commit carries it."""
    with opened(root, "embedded") as lake:
        return {table.name: str(digest_at(lake, table, head(root, table))) for table in TABLES}


def rehashed(root: Path) -> dict[str, str]:
    """Return table name -> digest of what the rows say when they are read back and hashed again."""
    found = {}
    for table in TABLES:
        rows = DeltaTable(table_path(root, table)).to_pyarrow_table().to_pylist()
        hashes = [row_hash(row, table) for row in rows]
        found[table.name] = str(sum((Digest(1, int(h[:16], 16), int(h[16:32], 16)) for h in hashes), Digest()))
    return found


def counts(receipts: Mapping[str, Receipt]) -> dict[str, Mapping[str, int]]:
    """Return step -> counts, what engines must agree on."""
    return {name: receipt.counts for name, receipt in receipts.items()}
