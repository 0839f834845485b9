"""Predictions of a model as rows for `record_opinions`: from arrays, or from tensors of any library.

A tensor is whatever NumPy can take: of torch (also on a GPU: it is detached and brought to the CPU), JAX, TensorFlow.
No library of tensors is imported here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lakehouse.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

BOX_FORMATS = ("xyxy", "xywh")


def from_logits(
    entity_ids: Sequence[str], logits: object, classes: Sequence[str], *, multi_label: float | None = None
) -> Iterator[dict[str, object]]:
    """Yield one row for each prediction of a classifier.

    Args:
        entity_ids: What the predictions are about, in their order.
        logits: Before softmax (or sigmoid); float, shape (len(entity_ids), len(classes)).
        classes: Names of the classes, as `reader.classes` has them.
        multi_label: None: one label each, softmax. A threshold 0..1: all labels whose sigmoid is at least it.

    Raises:
        ConfigError: If shapes do not fit, or a value is not finite.
    """
    values = _array(logits, "logits", (len(entity_ids), len(classes)))
    import numpy as np

    if multi_label is not None:
        for entity_id, row in zip(entity_ids, 1 / (1 + np.exp(-values)), strict=True):
            labels = [name for name, share in zip(classes, row.tolist(), strict=True) if share >= multi_label]
            yield {"entity_id": entity_id, "labels": labels}
        return
    shifted = np.exp(values - values.max(axis=1, keepdims=True))
    yield from from_probabilities(entity_ids, shifted / shifted.sum(axis=1, keepdims=True), classes)


def from_probabilities(
    entity_ids: Sequence[str], probabilities: object, classes: Sequence[str]
) -> Iterator[dict[str, object]]:
    """Yield one row for each prediction of a classifier, with its whole distribution.

    Args:
        entity_ids: What the predictions are about, in their order.
        probabilities: Float, shape (len(entity_ids), len(classes)); rows that sum to 1.
        classes: Names of the classes.

    Raises:
        ConfigError: If shapes do not fit, or a value is not finite.
    """
    for entity_id, row in zip(
        entity_ids, _array(probabilities, "probabilities", (len(entity_ids), len(classes))), strict=True
    ):
        yield {"entity_id": entity_id, "probabilities": dict(zip(classes, row.tolist(), strict=True))}


def from_numbers(entity_ids: Sequence[str], values: object) -> Iterator[dict[str, object]]:
    """Yield one row for each predicted number; `values` float, shape (len(entity_ids),).

    Raises:
        ConfigError: If shapes do not fit, or a value is not finite.
    """
    for entity_id, value in zip(entity_ids, _array(values, "values", (len(entity_ids),)).tolist(), strict=True):
        yield {"entity_id": entity_id, "number": value}


def from_boxes(
    entity_ids: Sequence[str],
    predictions: Sequence[Mapping[str, object]],
    classes: Sequence[str],
    *,
    box_format: str = "xyxy",
    min_score: float = 0.0,
) -> Iterator[dict[str, object]]:
    """Yield one row for each picture with the boxes that a detector found in it; none found is an answer, too.

    Args:
        entity_ids: The pictures, in the order of the predictions.
        predictions: For each picture `boxes` (float, shape (n, 4), px of the stored picture), `labels` (int, shape
            (n,), numbers of `classes`) and, if there are any, `scores` (float, shape (n,), 0..1): what detection
            models of torchvision give.
        classes: Names of the classes by number.
        box_format: `xyxy` (corners) or `xywh`.
        min_score: Boxes with less are left out.

    Raises:
        ConfigError: If shapes do not fit, a value is not finite, or a number is that of no class.
    """
    if box_format not in BOX_FORMATS:
        raise ConfigError(f"from_boxes: box_format = {box_format!r}; use {' or '.join(BOX_FORMATS)}")
    if len(predictions) != len(entity_ids):
        raise ConfigError(f"from_boxes: {len(predictions)} predictions for {len(entity_ids)} entities; one for each")
    for entity_id, said in zip(entity_ids, predictions, strict=True):
        boxes = _array(said["boxes"], f"boxes of {entity_id}", (None, 4))
        labels = _array(said["labels"], f"labels of {entity_id}", (len(boxes),)).astype(int).tolist()
        stated = said.get("scores")
        scores = None if stated is None else _array(stated, f"scores of {entity_id}", (len(boxes),)).tolist()
        regions = []
        for place, (x, y, right, bottom) in enumerate(boxes.tolist()):
            if not 0 <= labels[place] < len(classes):
                raise ConfigError(f"from_boxes: {entity_id} has class {labels[place]}; there are {len(classes)}")
            if scores is not None and scores[place] < min_score:
                continue
            w, h = (right - x, bottom - y) if box_format == "xyxy" else (right, bottom)
            region: dict[str, object] = {"kind": "box", "label": classes[labels[place]], "x": x, "y": y, "w": w, "h": h}
            regions.append(region | ({} if scores is None else {"score": scores[place]}))
        yield {"entity_id": entity_id, "regions": regions}


def _array(values: object, what: str, shape: tuple[int | None, ...]) -> npt.NDArray[np.float64]:
    import numpy as np

    tensor: Any = values
    for method in ("detach", "cpu"):
        # torch refuses to hand out what has a gradient or lies on a GPU.
        if callable(getattr(tensor, method, None)):
            tensor = getattr(tensor, method)()
    if str(getattr(tensor, "dtype", "")).endswith("bfloat16") and callable(getattr(tensor, "float", None)):
        tensor = tensor.float()  # NumPy has no such type
    found = np.asarray(tensor, dtype=np.float64)
    if found.size == 0 and None in shape:
        found = found.reshape(tuple(0 if size is None else size for size in shape))
    if found.ndim != len(shape) or any(size not in (None, each) for size, each in zip(shape, found.shape, strict=True)):
        wanted = ", ".join("n" if size is None else str(size) for size in shape)
        raise ConfigError(f"{what}: expected shape ({wanted}), found {found.shape}")
    if not np.isfinite(found).all():
        raise ConfigError(f"{what}: not all values are finite")
    return found
