"""What a column of a dataset is: one small record, its JSON and its Arrow form."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pyarrow as pa

from loaders.errors import FormatError
from loaders.format.geometry import Geometry as Geometry
from loaders.format.geometry import geometry_from_json
from schemas.canonical import canonical_json, sha256_text

CODECS = (
    "raw", "image", "native_image", "ndarray", "npy", "audio", "video", "array", "text", "coco_rle",
)  # fmt: skip
"""raw: the Arrow value itself. image: an encoded picture, read as 8 bits. native_image: one of any depth. ndarray:
C-order little-endian elements of a fixed shape. npy: a `.npy` file, for arrays whose shape varies. audio: an encoded
recording. video: an encoded video. array: a `.npy` or `.npz` file of any dtype and shape. text: a file in UTF-8 or
UTF-16. coco_rle: masks of the objects in a picture, as run lengths."""

ENCODED = frozenset(CODECS) - {"raw", "ndarray"}
"""Codecs whose values are decoded one by one."""

_SCALARS: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    **{f"{sign}int{bits}": getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "timestamp[us, UTC]": pa.timestamp("us", tz="UTC"),
    "date32": pa.date32(),
}
_ELEMENTS = [name for name in _SCALARS if name.startswith(("int", "uint", "float", "bool", "string"))]
TYPES: dict[str, pa.DataType] = {
    **_SCALARS,
    **{f"list<{name}>": pa.list_(_SCALARS[name]) for name in _ELEMENTS},
    **{f"map<string, {name}>": pa.map_(pa.string(), _SCALARS[name]) for name in ("int64", "float64", "string")},
}
"""Every type the format knows, by the name it has in the manifest."""

ARRAY_DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
                "float32", "float64")  # fmt: skip
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")


@dataclass(frozen=True, slots=True)
class Field:
    """One column.

    Attributes:
        name: Letters, digits and underscores, a letter first; names that begin with `_` are the reader's.
        type: Arrow type of the stored value, one of `TYPES`.
        codec: How the stored value is read, one of `CODECS`.
        shape: Shape of one decoded value. None in a place: that axis varies. None as a whole: nothing is known
            (a raw scalar has no shape). (H, W) or (H, W, C) for images; (frames, channels) for audio, or (frames,)
            where each recording has one channel; (frames, H, W, 3) for videos.
        dtype: Element type of `ndarray` and `npy` values, one of `ARRAY_DTYPES`; None for other codecs.
        nullable: Whether a value may be missing; a null is never read as zero.
        doc: What the value means, with its unit and range.
        classes: What class numbers stand for: class k is classes[k]. On a column of integers each value is such a
            number, on one of lists of integers of shape (None,) each element; another list of numbers has one for each
            class. None: the values are no classes.
        geometry: How the values lie in a picture of the same row: decoders move them with it. None: they do not.
        objects: Name of the list of objects (that of their boxes, say) of which the value has one entry for each, in
            the same order: an object that leaves the picture leaves all fields with this name. None: no such list.
    """

    name: str
    type: pa.DataType
    codec: str = "raw"
    shape: tuple[int | None, ...] | None = None
    dtype: str | None = None
    nullable: bool = False
    doc: str = ""
    classes: tuple[str, ...] | None = None
    geometry: Geometry | None = None
    objects: str | None = None

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise FormatError(f"field {self.name!r}: {problem}")

    @property
    def type_name(self) -> str:
        """Name of the type in the manifest."""
        return next(name for name, known in TYPES.items() if known.equals(self.type))

    @property
    def fixed_shape(self) -> tuple[int, ...] | None:
        """The shape, if every axis of it is known; () for a raw scalar without a shape; else None."""
        if self.shape is None:
            is_scalar = self.codec == "raw" and not pa.types.is_nested(self.type)
            return () if is_scalar else None
        return None if None in self.shape else cast("tuple[int, ...]", self.shape)

    def to_json(self) -> dict[str, object]:
        """Return the entry of this field in the manifest."""
        return {
            "name": self.name,
            "type": self.type_name,
            "codec": self.codec,
            "shape": None if self.shape is None else list(self.shape),
            "dtype": self.dtype,
            "nullable": self.nullable,
            "doc": self.doc,
            # Left out where there are none: schema ids of columns that have none stay as they were.
            **({} if self.classes is None else {"classes": list(self.classes)}),
            **({} if self.geometry is None else {"geometry": self.geometry.to_json()}),
            **({} if self.objects is None else {"objects": self.objects}),
        }


def field_from_json(entry: object) -> Field:
    """Read one field of a manifest.

    Raises:
        FormatError: If the entry is not one that this version knows.
    """
    if not isinstance(entry, Mapping):
        raise FormatError(f"a field must be a JSON object, found {entry!r}")
    missing = {"name", "type", "codec"} - entry.keys()
    if missing:
        raise FormatError(f"field {entry.get('name')!r} lacks {', '.join(sorted(missing))}")
    if entry["type"] not in TYPES:
        raise FormatError(f"field {entry['name']!r}: unknown type {entry['type']!r}; known: {', '.join(TYPES)}")
    shape = entry.get("shape")
    if shape is not None and not isinstance(shape, list):
        raise FormatError(f"field {entry['name']!r}: shape must be a list or null, found {shape!r}")
    classes = entry.get("classes")
    if classes is not None and not isinstance(classes, list):
        raise FormatError(f"field {entry['name']!r}: classes must be a list or null, found {classes!r}")
    objects = entry.get("objects")
    if objects is not None and not isinstance(objects, str):
        raise FormatError(f"field {entry['name']!r}: objects must be a name or null, found {objects!r}")
    return Field(
        name=str(entry["name"]),
        type=TYPES[entry["type"]],
        codec=str(entry["codec"]),
        shape=None if shape is None else tuple(shape),
        dtype=entry.get("dtype"),
        nullable=entry.get("nullable") is True,
        doc=str(entry.get("doc", "")),
        classes=None if classes is None else tuple(classes),
        geometry=None if entry.get("geometry") is None else geometry_from_json(entry["geometry"]),
        objects=objects,
    )


def arrow_schema(fields: Sequence[Field]) -> pa.Schema:
    """Return the Arrow schema in which these fields are stored."""
    return pa.schema([pa.field(field.name, field.type, nullable=field.nullable) for field in fields])


def schema_id(fields: Sequence[Field]) -> str:
    """Return 64 hex digits that name the meaning of the columns; `doc` does not count."""
    return sha256_text(canonical_json([{**field.to_json(), "doc": ""} for field in fields]))


def check_fields(fields: Sequence[Field]) -> tuple[Field, ...]:
    """Return the fields as a tuple.

    Raises:
        FormatError: If there are none, two have one name, or one lies in a column that is no picture.
    """
    names = [field.name for field in fields]
    if not names:
        raise FormatError("a dataset needs at least one field")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FormatError(f"field names must differ, found twice: {', '.join(twice)}")
    known = {field.name: field for field in fields}
    for field in fields:
        geometry = field.geometry
        if geometry is None:
            continue
        if geometry.of in known and known[geometry.of].codec not in ("image", "native_image"):
            raise FormatError(f"field {field.name!r} lies in {geometry.of!r}, which is no column of pictures")
        for name in (geometry.sizes, geometry.parts):
            if name is not None and (name not in known or not _holds_counts(known[name])):
                raise FormatError(f"field {field.name!r} is cut by {name!r}, which is no column of lists of integers")
    return tuple(fields)


def _problem(field: Field) -> str | None:
    if not _NAME.fullmatch(field.name):
        return "a name is letters, digits and underscores, begins with a letter and has at most 128 of them"
    if not any(known.equals(field.type) for known in TYPES.values()):
        return f"type {field.type} is not in the format; use one of {', '.join(TYPES)}"
    if field.codec not in CODECS:
        return f"unknown codec {field.codec!r}; known: {', '.join(CODECS)}"
    if field.codec != "raw" and not pa.types.is_binary(field.type):
        return f"codec {field.codec!r} stores bytes, so the type must be binary, found {field.type}"
    if (field.codec in ("ndarray", "npy")) != (field.dtype is not None):
        return f"dtype is for codecs ndarray and npy alone, and they need it; found {field.dtype!r}"
    if field.dtype is not None and field.dtype not in ARRAY_DTYPES:
        return f"unknown dtype {field.dtype!r}; known: {', '.join(ARRAY_DTYPES)}"
    return _shape_problem(field) or _classes_problem(field) or _objects_problem(field)


def _shape_problem(field: Field) -> str | None:
    shape = field.shape
    if shape is None:
        return "codec ndarray needs a fixed shape" if field.codec == "ndarray" else None
    if any(not (axis is None or (type(axis) is int and axis > 0)) for axis in shape):
        return f"an axis is a positive integer or None, found {shape}"
    if field.codec == "ndarray" and None in shape:
        return f"codec ndarray needs a fixed shape, found {shape}; use npy for arrays whose shape varies"
    if field.codec == "image" and not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))):
        return f"an image is (H, W), (H, W, 3) or (H, W, 4), found {shape}"
    if field.codec == "coco_rle":
        return None if len(shape) == 3 and shape[0] is None else f"masks are (None, H, W), found {shape}"
    if field.codec == "native_image":
        return f"pictures as they are stored have no shape in common, found {shape}; use None"
    if field.codec == "audio" and len(shape) not in (1, 2):
        return f"audio is (frames,) or (frames, channels), found {shape}"
    if field.codec in ("array", "text"):
        return f"each value of codec {field.codec} has a shape of its own, found {shape}; use None"
    if field.codec == "video" and not (len(shape) == 4 and shape[3] == 3):
        return f"a video is (frames, H, W, 3), found {shape}"
    if field.codec == "raw" and not (is_number_list(field.type) and len(shape) == 1):
        return "a raw value has a shape, (n,), only if it is a list of numbers"
    return None


def _classes_problem(field: Field) -> str | None:
    classes = field.classes
    if classes is None:
        return None
    if not all(isinstance(name, str) and name for name in classes) or len(set(classes)) < len(classes):
        return f"classes are names that differ, found {classes}"
    if pa.types.is_integer(field.type) or _holds_class_numbers(field):
        return None
    if not is_number_list(field.type) or field.shape != (len(classes),):
        return (
            "classes are for integers, for lists of them of any length, shape (None,), or for lists with a number for "
            f"each of them, shape ({len(classes)},)"
        )
    return None


def _objects_problem(field: Field) -> str | None:
    geometry = field.geometry
    is_array = field.codec == "npy"
    if geometry is not None:
        if field.nullable:
            return "what lies in a picture is not nullable: no object is an empty list"
        if geometry.kind == "masks":
            return None if field.codec == "coco_rle" else "masks in a picture have the codec coco_rle"
        axes = {"keypoints": 3}.get(geometry.kind, 2)
        last = {"keypoints": 3, "points": 2, "polygons": 2}.get(geometry.kind, 4)
        is_fit = is_array and field.dtype in ("float32", "float64")
        if not is_fit or field.shape is None or len(field.shape) != axes or field.shape[0] or field.shape[-1] != last:
            wanted = (None, *[None] * (axes - 2), last)
            return f"{geometry.kind} are codec npy of floats, shape {wanted}, found {field.codec} {field.shape}"
        places = max((place for pair in geometry.flip_pairs for place in pair), default=0)
        if geometry.kind == "keypoints" and places >= (field.shape[1] or places + 1):
            return f"flip_pairs name place {places} of {field.shape[1]} keypoints"
        return None
    if field.objects is not None and not is_array and not pa.types.is_list(field.type):
        return f"an entry for each object of {field.objects!r} takes a list or an array, found {field.type}"
    return None


def _holds_counts(field: Field) -> bool:
    return is_number_list(field.type) and pa.types.is_integer(field.type.value_type)


def _holds_class_numbers(field: Field) -> bool:
    """Whether each value is a list of class numbers, as many as there are: labels of boxes."""
    return is_number_list(field.type) and pa.types.is_integer(field.type.value_type) and field.shape == (None,)


def is_number_list(kind: pa.DataType) -> bool:
    """Whether values are lists of numbers or booleans: what becomes a one-dimensional array."""
    return pa.types.is_list(kind) and not pa.types.is_string(kind.value_type)


def numpy_dtype(kind: pa.DataType) -> np.dtype[np.generic] | None:
    """Return the numpy type in which a raw scalar is delivered, None if it comes as a Python object."""
    if pa.types.is_timestamp(kind):
        return np.dtype("datetime64[us]")
    if pa.types.is_date(kind):
        return np.dtype("datetime64[D]")
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        found: np.dtype[np.generic] = np.dtype(kind.to_pandas_dtype())
        return found
    return None
