"""Where Spark's executors put what is staged, and the driver finds it: a folder of this machine, or the lake's bucket.

On one machine both sides see the scratch folder. On a cluster they do not: there the results of jobs are objects below
`_tmp/` of the lake, written by the executors through s3a and read by the driver through the lake's own storage.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.engines.spark_tables import location
from lakehouse.home import Home
from lakehouse.spark.s3a import s3a_url
from loaders.errors import LoaderError

STAGED = "_tmp/spark-"
"""What the names of all staged objects begin with; a folder for each run follows."""

ABANDONED = timedelta(days=1)
"""Staged objects of a run that wrote nothing for so long are removed by the next: it was killed."""

CHUNK_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A Parquet file of a staged relation.

    Attributes:
        name: Where it is: its path on this machine, or its name among the files of the lake.
        size: Bytes.
    """

    name: str
    size: int


class Staging(Protocol):
    """A place for the staged relations of one engine; each has a folder of its own, known by a number."""

    is_here: bool
    """Whether it is on this machine."""

    def location(self, number: int) -> str:
        """Return the folder of a relation as Spark takes it."""
        ...

    def files(self, number: int) -> list[StagedFile]:
        """Return its Parquet files in the order of its rows: the numbers in the names are those of the partitions."""
        ...

    def opened(self, file: StagedFile) -> AbstractContextManager[Path]:
        """Give a path of this machine at which the file is during the block."""
        ...

    def put(self, number: int, batches: Iterable[pa.RecordBatch], schema: pa.Schema, *, part: int = 0) -> None:
        """Write rows of the driver as a relation of one file, or as one more file of a stream."""
        ...

    def clear(self) -> None:
        """Remove everything."""
        ...


class LocalStaging:
    """Folders in the scratch folder of the process."""

    is_here = True

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        scratch.mkdir(parents=True, exist_ok=True)

    def location(self, number: int) -> str:
        """See `Staging`."""
        return location(self._folder(number), pattern=False)

    def files(self, number: int) -> list[StagedFile]:
        """See `Staging`."""
        return [StagedFile(str(each), each.stat().st_size) for each in sorted(self._folder(number).glob("*.parquet"))]

    @contextmanager
    def opened(self, file: StagedFile) -> Iterator[Path]:
        """See `Staging`."""
        yield Path(file.name)

    def put(self, number: int, batches: Iterable[pa.RecordBatch], schema: pa.Schema, *, part: int = 0) -> None:
        """See `Staging`."""
        self._folder(number).mkdir(exist_ok=part > 0)
        # Under its name at once: a streaming query takes what it sees.
        written = self._folder(number) / f".part-{part}"
        write_rows(written, batches, schema)
        written.rename(self._folder(number) / f"part-{part}.parquet")

    def clear(self) -> None:
        """The scratch folder is removed by whoever made it."""

    def _folder(self, number: int) -> Path:
        return self._scratch / f"stage-{number}"


class BucketStaging:
    """Objects below `_tmp/spark-<run>/` of a lake in a bucket."""

    is_here = False

    def __init__(self, home: Home, scratch: Path) -> None:
        """Begin a run; what killed ones left is removed.

        Args:
            home: The lake.
            scratch: Folder of this machine for files on their way.
        """
        self._home, self._scratch = home, scratch
        self._root = f"{STAGED}{uuid.uuid4().hex}"
        scratch.mkdir(parents=True, exist_ok=True)
        remove_abandoned(home)

    def location(self, number: int) -> str:
        """See `Staging`."""
        return s3a_url(f"{self._home.address}/{self._root}/stage-{number}")

    def files(self, number: int) -> list[StagedFile]:
        """See `Staging`."""
        found = self._home.files.list(f"{self._root}/stage-{number}")
        return [StagedFile(each.name, each.size) for each in found if each.name.endswith(".parquet")]

    @contextmanager
    def opened(self, file: StagedFile) -> Iterator[Path]:
        """See `Staging`."""
        path = self._scratch / f"{uuid.uuid4().hex}.parquet"
        try:
            with path.open("wb") as written:
                for start in range(0, file.size, CHUNK_BYTES):
                    written.write(self._home.files.read(file.name, start, min(CHUNK_BYTES, file.size - start)))
            yield path
        finally:
            path.unlink(missing_ok=True)

    def put(self, number: int, batches: Iterable[pa.RecordBatch], schema: pa.Schema, *, part: int = 0) -> None:
        """See `Staging`."""
        path = self._scratch / f"{uuid.uuid4().hex}.parquet"
        try:
            write_rows(path, batches, schema)
            self._home.files.put(f"{self._root}/stage-{number}/part-{part}.parquet", path)
        finally:
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove everything; where the bucket does not answer, the next run or `petrel maintain` does."""
        try:
            for each in list(self._home.files.list(self._root)):
                self._home.files.delete(each.name)
        except LoaderError:
            pass


def remove_abandoned(home: Home) -> None:
    """Remove what killed runs have staged in a bucket, each run as a whole, once it has been quiet for a day."""
    folders: dict[str, list[tuple[str, datetime | None]]] = {}
    for each in home.files.list("_tmp"):
        if each.name.startswith(STAGED):
            folders.setdefault(each.name.split("/")[1], []).append((each.name, each.modified))
    before = datetime.now(UTC) - ABANDONED
    for found in folders.values():
        if all(modified is not None and modified < before for _, modified in found):
            for name, _ in found:
                home.files.delete(name)


def write_rows(path: Path, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
    """Write batches as one Parquet file, also if there are none."""
    with pq.ParquetWriter(path, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
