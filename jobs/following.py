"""The steps that follow when files were landed, in their order: entities, dimensions, opinions, datasets."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from lakehouse.errors import ConfigError
from lakehouse.names import nearest
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from jobs.pipeline import Pipeline
    from lakehouse.lake import Lake

STEPS = ("entities", "dimensions", "opinions", "datasets")
OF_PIPELINE = ("opinions", "datasets")
"""Steps that only a pipeline file tells what to do."""


def steps_of(text: str | None, *, has_pipeline: bool) -> tuple[str, ...]:
    """Return the steps that `--steps` names; without it all of a pipeline, and none where there is no pipeline.

    Raises:
        ConfigError: If one is unknown, or needs a pipeline file.
    """
    if text is None:
        return STEPS if has_pipeline else ()
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in STEPS:
            raise ConfigError(f"--steps {text}: no step `{name}`{nearest(name, STEPS)}; there are {', '.join(STEPS)}")
        if name in OF_PIPELINE and not has_pipeline:
            raise ConfigError(f"--steps {text}: {name} needs --pipeline FILE, which says what to import and to build")
    return tuple(name for name in STEPS if name in names)


def follow(
    lake: Lake, steps: Collection[str], pipeline: Pipeline | None = None, *, allow_failed: str = ""
) -> Iterator[Receipt]:
    """Run steps in their order, with the suites of the pipeline behind each, and yield the receipt of each.

    Args:
        lake: The lake.
        steps: Names of `STEPS`.
        pipeline: What to import, to check and to build.
        allow_failed: Why datasets are built although a suite failed; "" for not at all.
    """
    if "entities" in steps:
        from lakehouse.ingestion.entities import entities

        yield entities(lake)
        yield from quality_after(lake, pipeline, "entities", allow_failed)
    if "dimensions" in steps:
        from lakehouse.dimensions.step import dimensions

        yield dimensions(lake)
        yield from quality_after(lake, pipeline, "dimensions", allow_failed)
    if pipeline is not None and "opinions" in steps:
        from lakehouse.opinions.step import import_all, resolve_parked

        yield from import_all(lake, pipeline.opinions)
        # Answers that came before their file did.
        yield resolve_parked(lake)
        yield from quality_after(lake, pipeline, "opinions", allow_failed)
    if pipeline is not None and "datasets" in steps:
        from lakehouse.datasets.build import build
        from lakehouse.materialise.step import materialise

        for recipe in pipeline.recipes:
            built = build(lake, recipe, allow_failed=allow_failed)
            yield built
            yield from quality_after(lake, pipeline, "build", allow_failed)
            yield materialise(lake, built.details["dataset_id"], allow_failed=allow_failed)
        yield from quality_after(lake, pipeline, "materialise", allow_failed)


def quality_after(lake: Lake, pipeline: Pipeline | None, step: str, allow_failed: str) -> Iterator[Receipt]:
    """Check the suites of a pipeline that follow a step."""
    suites = [] if pipeline is None else [suite for suite in pipeline.suites if suite.after == step]
    if suites:
        from lakehouse.quality.step import quality

        yield quality(lake, suites, allow_failed=allow_failed)
