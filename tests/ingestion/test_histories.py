"""Any history of land, overwrite, delete, kill, measure, transform and rebuild ends in what a plain model says."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lakehouse.deriving.registry import transform_named
from lakehouse.deriving.step import derive
from lakehouse.deriving.transform import chain_of
from lakehouse.deriving.values import encoded
from lakehouse.dimensions.step import dimensions
from lakehouse.extractors.image_header import IMAGE_HEADER
from lakehouse.ingestion import landed
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.rebuild import rebuild
from lakehouse.ingestion.watch import Batches, watch
from lakehouse.query import fetch
from lakehouse.steps import outputs as outputs_step
from loaders.publishing.stored_values import upright_pixels
from tests.ingestion.files import png, put, source, stored_objects
from tests.lanes import examples
from tests.making import Clock, small_lake

NAMES = st.sampled_from(["a.png", "b.png", "c/d.png", "e.bin"])
CONTENTS = st.sampled_from([png(1), png(2), png(3), png(4)[:-30], b"no picture"])
PICTURES = {png(number) for number in (1, 2, 3)}
BROKEN = png(4)[:-30]
HALVED = chain_of(["resize:height=2,width=3"], transform_named)
HALVES = {data: encoded(HALVED.made(upright_pixels(data, max_pixels=1_000))[0].value) for data in PICTURES}


class Killed(BaseException):
    """What ends a step as `kill -9` does: nothing catches it."""


class Histories(RuleBasedStateMachine):
    """A folder, a lake, and what the lake should hold: observations, and what is made of their bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="petrel-history-"))
        self.folder = self.place / "drop"
        self.folder.mkdir()
        self.clock = Clock()
        self.opened = small_lake(self.place / "lake", clock=self.clock)
        self.lake = self.opened.__enter__()
        self.files: dict[str, tuple[bytes, int]] = {}  # path -> bytes, time
        self.landed: set[tuple[str, bytes, int]] = set()
        self.known: set[bytes] = set()
        self.made: set[bytes] = set()
        self.measured: set[bytes] = set()
        self.times = 1_700_000_000

    def teardown(self) -> None:
        self.opened.__exit__(None, None, None)
        shutil.rmtree(self.place)

    @rule(name=NAMES, data=CONTENTS)
    def write(self, name, data):
        """A file arrives, or is overwritten."""
        self.times += 1
        put(self.folder, name, data, at=self.times)
        self.files[name] = data, self.times

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def delete(self, data):
        """A file goes."""
        name = data.draw(st.sampled_from(sorted(self.files)))
        (self.folder / name).unlink()
        del self.files[name]

    @rule()
    def land(self):
        """All of them are landed."""
        land(self.lake, source(self.folder))
        self._now_landed()

    @rule()
    def watch(self):
        """The same in batches."""
        list(watch(self.lake, source(self.folder), batches=Batches(max_files=2)))
        self._now_landed()

    @rule(after=st.integers(0, 2))
    def watch_killed(self, after):
        """A watch that is killed before one of its commits; what was committed stays."""
        with killing(landed, "insert", after=after):
            list(watch(self.lake, source(self.folder), batches=Batches(max_files=1)))
        self._now_landed(some=True)

    @rule(after=st.integers(0, 2))
    def entities_killed(self, after):
        """Entities are killed between the commits of their tables."""
        with killing(outputs_step, "insert", after=after):
            entities(self.lake)
        # Whatever came of it, the next run ends in the same.
        self.entities()

    @rule()
    def entities(self):
        """Entities are made."""
        entities(self.lake)
        self._now_looked()

    @rule()
    def transform(self):
        """Pictures are made smaller."""
        derive(self.lake, HALVED)
        self.made |= self.known & PICTURES

    @rule(after=st.integers(0, 2))
    def transform_killed(self, after):
        """The same, killed between the commits of its tables."""
        with killing(outputs_step, "insert", after=after):
            derive(self.lake, HALVED)
        self.transform()

    @rule()
    def dimensions(self):
        """What is missing is measured."""
        dimensions(self.lake, extractors=[IMAGE_HEADER])
        self._now_measured()

    @rule()
    def backfill(self):
        """Silver is made anew: it ends as if all steps had run."""
        rebuild(self.lake)
        self._now_looked()
        self._now_measured()

    @rule(days=st.integers(1, 3))
    def wait(self, days):
        """Time passes."""
        self.clock.forward(days=days)

    @invariant()
    def lake_is_as_the_model_says(self):
        """Differences: 0."""
        found = fetch(self.lake, "select path, sha256, mtime_at from bronze.landed_files")
        observed = sorted((row["path"], row["sha256"], int(row["mtime_at"].timestamp())) for row in found)
        assert observed == sorted((path, sha(data), at) for path, data, at in self.landed)
        found = fetch(self.lake, "select entity_id from silver.entities")
        assert sorted(row["entity_id"] for row in found) == sorted(map(sha, self.known | self._smaller()))
        found = fetch(self.lake, "select parent_id, entity_id from silver.derivations")
        assert sorted((row["parent_id"], row["entity_id"]) for row in found) == sorted(
            (sha(data), sha(HALVES[data])) for data in self.made
        )
        found = fetch(self.lake, "select b.path, b.sha256 from silver.entity_sources s join bronze.landed_files b "
                                 "on b.landed_id = s.landed_id")  # fmt: skip
        assert {row["sha256"] for row in found} == set(map(sha, self.known))
        found = fetch(self.lake, "select subject from silver.rejected where step = 'entities'")
        assert len(found) == len({row["subject"] for row in found})
        found = fetch(self.lake, "select entity_id from silver.dimensions where dimension = 'width'")
        assert sorted(row["entity_id"] for row in found) == sorted(map(sha, self.measured))
        objects = stored_objects(self.lake)
        assert all(sha(data) == name for name, data in objects.items())
        assert {sha(data) for _, data, _ in self.landed} | set(map(sha, self._smaller())) <= set(objects)

    def _smaller(self):
        return {HALVES[data] for data in self.made}

    def _now_looked(self):
        # A name claims a kind: what is no picture is none under the name of one, and bytes under that of none.
        self.known |= {data for path, data, _ in self.landed if data in PICTURES or path.endswith(".bin")} - {BROKEN}

    def _now_measured(self):
        self.measured |= (self.known & PICTURES) | self._smaller()

    def _now_landed(self, *, some=False):
        if some:  # which of the batches were committed, the table says; nothing else may be there
            found = fetch(self.lake, "select path, sha256, mtime_at from bronze.landed_files")
            rows = {(row["path"], row["sha256"], int(row["mtime_at"].timestamp())) for row in found}
            could = {(path, data, at) for path, (data, at) in self.files.items()}
            self.landed |= {each for each in could if (each[0], sha(each[1]), each[2]) in rows}
        else:
            self.landed |= {(path, data, at) for path, (data, at) in self.files.items()}


class killing:
    """Kills a step in place of its commit number `after`, counted from 0; one that has fewer comes to its end."""

    def __init__(self, module, name, *, after):
        self._module, self._name, self._left = module, name, after
        self._real = getattr(module, name)

    def __enter__(self):
        setattr(self._module, self._name, self._commit)

    def __exit__(self, kind, *_):
        setattr(self._module, self._name, self._real)
        return kind is Killed

    def _commit(self, *args, **options):
        if self._left == 0:
            raise Killed
        self._left -= 1
        return self._real(*args, **options)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# All examples take a machine of two cores beyond the ten minutes that a test has.
TestHistories = pytest.mark.timeout(3_600)(Histories.TestCase)
TestHistories.settings = settings(
    max_examples=examples(4, long=200), stateful_step_count=examples(12, long=20), deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
