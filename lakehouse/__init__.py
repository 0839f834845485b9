"""The library: lake, tables, engines and the steps from landed files to datasets.

    import lakehouse as lh

    with lh.open_lake(lh.load_config(), create=True) as lake:
        lh.land(lake, lh.Source(name="photos", folder="drops/photos"))
        lh.entities(lake)
        lh.dimensions(lake)
        print(lh.build(lake, lh.load_recipe("conf/datasets/photos.toml")))
        print(lh.materialise(lake, "photos"))

Names are imported at their first use: `import lakehouse` loads neither pyspark nor torch nor DuckDB.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lakehouse.audit.verify import verify
    from lakehouse.changes.recording import add_change, revert_change
    from lakehouse.config import Config, load_config
    from lakehouse.datasets.build import build
    from lakehouse.datasets.recipes.recipe import Recipe, load_recipe
    from lakehouse.datasets.versions.find import find_dataset
    from lakehouse.dimensions.measure import measure
    from lakehouse.dimensions.step import dimensions
    from lakehouse.errors import PetrelError
    from lakehouse.evaluation.evaluate import evaluate
    from lakehouse.evaluation.gates import Gate
    from lakehouse.exporting.step import export
    from lakehouse.extractors.extractor import Dimension, Extractor
    from lakehouse.ingestion.entities import entities
    from lakehouse.ingestion.land import land
    from lakehouse.ingestion.land_items import land_items
    from lakehouse.ingestion.sources.source import Source
    from lakehouse.ingestion.watch import Batches, watch
    from lakehouse.labels.exporting import export_opinions
    from lakehouse.labels.policies import register_policy
    from lakehouse.labels.policy import Policy, load_policy
    from lakehouse.lake import Lake
    from lakehouse.materialise.step import materialise
    from lakehouse.opened import OpenLake
    from lakehouse.opening import open_lake
    from lakehouse.opinions.register import register_actor, register_question
    from lakehouse.opinions.step import OpinionSource, opinions, record_opinions, resolve_parked
    from lakehouse.preparing.prepare import prepare
    from lakehouse.quality.step import quality
    from lakehouse.quality.suite import load_suites
    from lakehouse.query import fetch
    from lakehouse.reading.objects import open_object, read_object
    from lakehouse.reading.tables import read_table
    from lakehouse.serving.capture import capture
    from lakehouse.sql.contained import user_query
    from lakehouse.sql.session import connect
    from lakehouse.steps.receipts import Receipt
    from lakehouse.streaming.stream import QueryStream, StreamOptions, stream
    from lakehouse.tensors.user import sql_function

_HOMES = {
    "Batches": "lakehouse.ingestion.watch",
    "Config": "lakehouse.config",
    "Dimension": "lakehouse.extractors.extractor",
    "Extractor": "lakehouse.extractors.extractor",
    "Gate": "lakehouse.evaluation.gates",
    "Lake": "lakehouse.lake",
    "OpenLake": "lakehouse.opened",
    "OpinionSource": "lakehouse.opinions.step",
    "PetrelError": "lakehouse.errors",
    "Policy": "lakehouse.labels.policy",
    "QueryStream": "lakehouse.streaming.stream",
    "Receipt": "lakehouse.steps.receipts",
    "Recipe": "lakehouse.datasets.recipes.recipe",
    "Source": "lakehouse.ingestion.sources.source",
    "StreamOptions": "lakehouse.streaming.stream",
    "add_change": "lakehouse.changes.recording",
    "build": "lakehouse.datasets.build",
    "connect": "lakehouse.sql.session",
    "entities": "lakehouse.ingestion.entities",
    "evaluate": "lakehouse.evaluation.evaluate",
    "export": "lakehouse.exporting.step",
    "export_opinions": "lakehouse.labels.exporting",
    "fetch": "lakehouse.query",
    "find_dataset": "lakehouse.datasets.versions.find",
    "capture": "lakehouse.serving.capture",
    "land": "lakehouse.ingestion.land",
    "land_items": "lakehouse.ingestion.land_items",
    "load_config": "lakehouse.config",
    "load_policy": "lakehouse.labels.policy",
    "load_recipe": "lakehouse.datasets.recipes.recipe",
    "load_suites": "lakehouse.quality.suite",
    "measure": "lakehouse.dimensions.measure",
    "open_lake": "lakehouse.opening",
    "open_object": "lakehouse.reading.objects",
    "prepare": "lakehouse.preparing.prepare",
    "read_object": "lakehouse.reading.objects",
    "read_table": "lakehouse.reading.tables",
    "record_opinions": "lakehouse.opinions.step",
    "register_actor": "lakehouse.opinions.register",
    "register_policy": "lakehouse.labels.policies",
    "register_question": "lakehouse.opinions.register",
    "resolve_parked": "lakehouse.opinions.step",
    "revert_change": "lakehouse.changes.recording",
    "sql_function": "lakehouse.tensors.user",
    "stream": "lakehouse.streaming.stream",
    "user_query": "lakehouse.sql.contained",
    "verify": "lakehouse.audit.verify",
    "watch": "lakehouse.ingestion.watch",
}

_COMMANDS = ("agreement", "consensus", "dimensions", "labels", "materialise", "opinions", "quality")
"""Packages that are called like the command they hold."""

__all__ = [
    "Batches",
    "Config",
    "Dimension",
    "Extractor",
    "Gate",
    "Lake",
    "OpenLake",
    "OpinionSource",
    "PetrelError",
    "Policy",
    "QueryStream",
    "Receipt",
    "Recipe",
    "Source",
    "StreamOptions",
    "add_change",
    "agreement",
    "build",
    "capture",
    "connect",
    "consensus",
    "dimensions",
    "entities",
    "evaluate",
    "export",
    "export_opinions",
    "fetch",
    "find_dataset",
    "labels",
    "land",
    "land_items",
    "load_config",
    "load_policy",
    "load_recipe",
    "load_suites",
    "materialise",
    "measure",
    "open_lake",
    "open_object",
    "opinions",
    "prepare",
    "quality",
    "read_object",
    "read_table",
    "record_opinions",
    "register_actor",
    "register_policy",
    "register_question",
    "resolve_parked",
    "revert_change",
    "sql_function",
    "stream",
    "user_query",
    "verify",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name in _COMMANDS:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
