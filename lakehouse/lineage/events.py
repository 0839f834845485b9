"""A run of a step as events of OpenLineage 2-0-2 (https://openlineage.io/spec/2-0-2/OpenLineage.json).

What that version demands of a RunEvent: eventTime, producer, schemaURL, run.runId (a UUID), job.namespace and job.name;
of each dataset namespace and name; of each facet _producer and _schemaURL. One START, then one COMPLETE, FAIL or ABORT.
Datasets are named as its Naming.md says: `file` and a path, or `s3://bucket` and a key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version as version_of

from lakehouse.tables.inserted import Inserted
from schemas.tables import BY_NAME

SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACETS = "https://openlineage.io/spec/facets/1-0-0"
PRODUCER = "https://pypi.org/project/petrel-lakehouse"

Event = dict[str, object]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a step.

    Attributes:
        run_id: UUID; the receipt of the run has it too.
        step: Name of the step.
        engine: embedded or spark.
        namespace: Of the job: `lineage.namespace` of the configuration.
        address: Of the lake: an absolute path, or a URL.
    """

    run_id: str
    step: str
    engine: str
    namespace: str
    address: str


def event(
    run: Run, kind: str, at: datetime, *, reads: Iterable[tuple[str, int]] = (), writes: Sequence[Inserted] = (),
    folders: Iterable[str] = (), problem: str = "",
) -> Event:  # fmt: skip
    """Return one event.

    Args:
        run: The run.
        kind: START, COMPLETE, FAIL or ABORT.
        at: When, UTC.
        reads: (table, version) of what was read.
        writes: What was written; a table that gained nothing is none of it.
        folders: Folders that were published, relative to the lake.
        problem: Why it failed.
    """
    facets: dict[str, object] = {
        "processing_engine": _facet("ProcessingEngineRunFacet", version=_petrel(), name=f"petrel-{run.engine}")
    }
    if problem:
        facets["errorMessage"] = _facet("ErrorMessageRunFacet", message=problem, programmingLanguage="PYTHON")
    written = [each for each in writes if each.rows_new]
    return {
        "eventType": kind,
        "eventTime": at.astimezone(UTC).isoformat(),
        "producer": PRODUCER,
        "schemaURL": SPEC,
        "run": {"runId": run.run_id, "facets": facets},
        "job": {"namespace": run.namespace, "name": run.step},
        "inputs": [_table(run, name, number) for name, number in sorted(set(reads))],
        "outputs": [
            *(_table(run, each.table, each.version_after) | {"outputFacets": {"outputStatistics": _facet(
                "OutputStatisticsOutputDatasetFacet", rowCount=each.rows_new)}} for each in written),
            *({**dataset_name(run.address, folder), "facets": {}} for folder in sorted(folders)),
        ],
    }  # fmt: skip


def dataset_name(address: str, name: str) -> dict[str, str]:
    """Return namespace and name of a place in a lake."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        return {"namespace": "file", "name": f"{address}/{name}"}
    bucket, _, prefix = rest.partition("/")
    return {"namespace": f"{scheme}://{bucket}", "name": "/".join(each for each in (prefix.strip("/"), name) if each)}


def _table(run: Run, name: str, version: int) -> dict[str, object]:
    fields = [{"name": each.name, "type": str(each.type), "description": each.comment}
              for each in BY_NAME[name].columns]  # fmt: skip
    facets: Mapping[str, object] = {
        "schema": _facet("SchemaDatasetFacet", fields=fields),
        "version": _facet("DatasetVersionDatasetFacet", datasetVersion=str(version)),
    }
    return {**dataset_name(run.address, f"tables/{name.replace('.', '/')}"), "facets": facets}


def _facet(name: str, /, **values: object) -> dict[str, object]:
    return {"_producer": PRODUCER, "_schemaURL": f"{FACETS}/{name}.json#/$defs/{name}", **values}


@lru_cache(maxsize=1)
def _petrel() -> str:
    return version_of("petrel-lakehouse")
