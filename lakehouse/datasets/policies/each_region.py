"""Each region a sample of its own: whose regions hold, of whatever shape, and what one of them is in samples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.datasets.policies.boxes import stated_of
from lakehouse.datasets.policies.kind import NO_ANSWER, AnswerKind, Decision, because_of
from lakehouse.datasets.policies.label_samples import label_columns
from lakehouse.datasets.policies.newest import NEWEST, SAID, newest_sql, unsettled
from lakehouse.datasets.policies.settings import Label
from lakehouse.datasets.recipes.sections.samples import Samples
from lakehouse.errors import RecipeError
from lakehouse.opinions.exporting.answers import region_of
from lakehouse.opinions.geometry.polygon import bounds_of
from lakehouse.opinions.geometry.regions import box_of_region, parts_of
from loaders.format.fields import Field

REGION = Field(
    "region", pa.list_(pa.float32()), shape=(4,),
    doc="x_min, y_min, x_max, y_max of the region, continuous px of the picture it is of, as stored.",
)  # fmt: skip
CROP = Field(
    "crop", pa.list_(pa.int64()), shape=(4,),
    doc="Left, top, width and height of the crop, px of the picture it is of, as stored.",
)  # fmt: skip


def decide(row: Mapping[str, Any], settings: Label) -> Decision:
    """Return the regions of one picture, each with label, kind, bounds and what else it states, in the order said."""
    nobodys = unsettled(row, settings)
    return nobodys or Decision(answer=[_told(region) for region in row["regions"]])


def _told(record: Mapping[str, Any]) -> dict[str, object]:
    region = region_of(record)
    turned = region.kind in ("box", "ellipse") and region.angle
    corners = parts_of(region_of({**record, "kind": "box"})) if turned else None
    bounds = bounds_of(corners) if corners is not None else box_of_region(region)
    found = {"label": region.label, "kind": region.kind, **dict(zip("xywh", map(float, bounds), strict=True))}
    return found | stated_of(record)


def samples(members: pa.Table, classes: Sequence[str]) -> Iterator[tuple[Field, pa.Array]]:
    """Yield `label`, `label_index`, `region` and `crop`."""
    yield from label_columns(members["label"], classes)
    regions = [json.loads(text) for text in members["answer_json"].to_pylist()]
    corners = [np.array([each["x"], each["y"], each["x"] + each["w"], each["y"] + each["h"]]) for each in regions]
    yield REGION, pa.array([each.astype(np.float32) for each in corners], pa.list_(pa.float32()))
    crops = [crop_of_parameters(json.loads(text)) for text in members["parameters_json"].to_pylist()]
    yield CROP, pa.array([[each[name] for name in ("left", "top", "width", "height")] for each in crops], CROP.type)


def crop_of_parameters(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters of the crop that a sample is, or is a variant of."""
    found: Mapping[str, Any] = parameters.get("of", parameters)
    return found


EACH_REGION = AnswerKind(
    value_kind="regions",
    task="each_region",
    policies=NEWEST,
    version=1,
    hears=("event_time", "labels", "regions"),
    tally=newest_sql("regions", labelled=True),
    decide=decide,
    because=because_of("regions"),
    reasons=(NO_ANSWER,),
    classes=SAID,
    has_cell=True,
    one_label=True,
    samples=samples,
    sample_names=("label", "label_index", "region", "crop", "parent_id"),
)
"""What answers of regions are where a recipe takes each of them as a sample: no task that a recipe may name."""


def kind_of_samples(samples: Samples, kind: AnswerKind, where: str) -> AnswerKind:
    """Return the kind of the answers that samples have, where those about entities are of `kind`.

    Args:
        samples: The recipe's.
        kind: Kind of the answers about entities.
        where: Recipe and question, for messages.

    Raises:
        RecipeError: If samples are regions, and answers are none.
    """
    if samples.of != "regions":
        return kind
    if kind.value_kind != EACH_REGION.value_kind:
        raise RecipeError(f'{where}: samples.of = "regions", and its answers are of kind {kind.name}, not regions')
    return EACH_REGION
