"""Objects as detection models of torch take them: a dict of tensors for each picture. Imports no torch.

    {"boxes": float (n, 4) xyxy, "labels": int64 (n,), "masks": uint8 (n, H, W), "keypoints": float (n, K, 3), ...}

as far as the columns of the objects say so; other columns of them keep their names without what comes before `_`
(`box_iscrowd` is "iscrowd"). Beside them "dropped", how many objects left the picture, where a decoder moved them.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from loaders.errors import FormatError
from loaders.format.fields import Field, is_number_list

Tensor = Any
"""torch.Tensor, which is not imported here."""

_PREFIXES = ("box_", "mask_", "keypoint_", "polygon_", "point_")
_KEYS = {"xyxy": "boxes", "xywh": "boxes", "masks": "masks", "keypoints": "keypoints", "points": "points"}


@dataclass(frozen=True, slots=True)
class Targets:
    """How the objects of a picture become one dict.

    Attributes:
        objects: Name of the list of objects.
        first_label: Label of class 0. Models of torchvision take 0 for the background, so that classes begin at 1.
        tv_tensors: Give `BoundingBoxes`, `Mask`, `KeyPoints` and `Image` of torchvision.tv_tensors, which know the
            size of their picture and are moved by torchvision.transforms.v2. `KeyPoints` have no v: it is in
            "visibility", (n, K).
    """

    objects: str = "boxes"
    first_label: int = 1
    tv_tensors: bool = False


class Dressing:
    """Makes targets of the columns of objects, on whatever device they are.

    Args:
        targets: What is wanted.
        fields: Columns of the reader.

    Raises:
        FormatError: If there are no such objects, their picture is not read, two columns would have one name, or
            torchvision is wanted and missing.
    """

    def __init__(self, targets: Targets, fields: Sequence[Field]) -> None:
        self._targets = targets
        members = [field for field in fields if targets.objects in (field.objects, _own_name(field))]
        cuts = {
            name for field in members if field.geometry is not None
            for name in (field.geometry.sizes, field.geometry.parts) if name is not None
        }  # fmt: skip
        members += [field for field in fields if field.name in cuts and field not in members]
        self.columns = {field.name: field for field in members}
        shapes = [field for field in members if field.geometry is not None]
        if not shapes:
            names = sorted({str(field.objects) for field in fields if field.objects is not None})
            raise FormatError(f"targets: no shapes of the objects {targets.objects!r} are read; there are {names}")
        geometry = shapes[0].geometry
        assert geometry is not None
        self.picture = geometry.of
        if self.picture not in {field.name for field in fields}:
            raise FormatError(f"targets: {targets.objects!r} lie in {self.picture!r}: read that column, too")
        self._keys = {name: _key(field) for name, field in self.columns.items()}
        if len({*self._keys.values()}) < len(self._keys):
            raise FormatError(f"targets: two columns would have one name, {self._keys}; leave one out")
        self._tv = _tv_tensors() if targets.tv_tensors else None

    @property
    def lists(self) -> frozenset[str]:
        """Columns that are wanted as lists of tensors."""
        numeric = {
            name for name, field in self.columns.items() if field.codec != "raw" or is_number_list(field.type)
        }
        return frozenset(numeric | {self.picture})

    def dressed(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the batch with "targets", a list of dicts, in place of the columns of the objects."""
        out = {name: value for name, value in batch.items() if name not in self.columns}
        counts = out.pop(f"{self._targets.objects}_count", None)
        dropped = out.pop(f"{self._targets.objects}_dropped", None)
        pictures = out[self.picture]
        targets: list[dict[str, Any]] = []
        for row, picture in enumerate(pictures):
            size = tuple(picture.shape[-2:])
            target: dict[str, Any] = {}
            for name, field in self.columns.items():
                value = batch[name][row]
                is_padded = counts is not None and not isinstance(batch[name], list)
                target |= self._entry(field, value[: int(counts[row])] if is_padded else value, size)
            if dropped is not None:
                target["dropped"] = dropped[row]
            targets.append(target)
        if self._tv is not None:
            image = self._tv.Image
            out[self.picture] = [image(each) for each in pictures] if isinstance(pictures, list) else image(pictures)
        return {**out, "targets": targets}

    def _entry(self, field: Field, value: Tensor, size: tuple[int, ...]) -> dict[str, Any]:
        key, kind, tv = self._keys[field.name], field.geometry.kind if field.geometry is not None else None, self._tv
        if kind is None:
            return {key: value + self._targets.first_label if key == "labels" else value}
        if kind == "xywh":
            value = value.clone()
            value[:, 2:] += value[:, :2]
        if tv is None or kind == "polygons":
            return {key: value}
        if kind == "masks":
            return {key: tv.Mask(value)}
        if kind in ("xyxy", "xywh"):
            return {key: tv.BoundingBoxes(value, format="XYXY", canvas_size=size)}
        if kind == "points":
            return {key: tv.KeyPoints(value, canvas_size=size)}
        return {key: tv.KeyPoints(value[..., :2], canvas_size=size), "visibility": value[..., 2]}


def _own_name(field: Field) -> str | None:
    return field.name if field.geometry is not None and field.objects is None else None


def _key(field: Field) -> str:
    """Return the name of a column in a target."""
    if field.geometry is not None:
        return _KEYS.get(field.geometry.kind, field.name)
    if field.classes is not None:
        return "labels"
    return next((field.name.removeprefix(each) for each in _PREFIXES if field.name.startswith(each)), field.name)


def _tv_tensors() -> ModuleType:
    try:
        module = importlib.import_module("torchvision.tv_tensors")
    except ImportError as error:
        raise FormatError(
            "tv_tensors=True needs torchvision, which is not installed; install the one for your torch, or take plain "
            "tensors: Targets(tv_tensors=False)"
        ) from error
    if not hasattr(module, "KeyPoints"):
        raise FormatError("tv_tensors=True needs torchvision 0.23 or later, which has KeyPoints")
    return module
