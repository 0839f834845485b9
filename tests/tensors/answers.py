"""Arguments for every function over arrays, drawn at random, and what plain NumPy says of one row."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.tensors.value import TENSOR, as_struct, from_struct

Draw = np.random.Generator
DTYPES = ("bool", "uint8", "int16", "int32", "int64", "uint64", "float16", "float32", "float64")
REDUCTIONS = ("mean", "sum", "min", "max", "prod", "std", "any", "all")
SHAPES = [(), (0,), (1,), (5,), (3, 4), (2, 0), (2, 3, 4), (4, 1, 2)]


@dataclass(frozen=True)
class Case:
    """One function: how its arguments are drawn, and its answer for one row."""

    draw: Callable[[Draw], tuple[Any, ...]]
    answer: Callable[..., Any]


def array(draw: Draw, *, shape: tuple[int, ...] | None = None, dtypes: tuple[str, ...] = DTYPES) -> np.ndarray:
    """Return an array; of floats a fifth with NaN and infinities."""
    dtype = dtypes[draw.integers(len(dtypes))]
    shape = SHAPES[draw.integers(len(SHAPES))] if shape is None else shape
    found = np.asarray(draw.integers(0, 4, shape) if dtype == "bool" else draw.normal(0, 20, shape))
    if dtype.startswith("uint"):
        found = np.abs(found)
    found = np.asarray(found).astype(dtype)
    if found.dtype.kind == "f" and found.size and draw.random() < 0.2:
        found.reshape(-1)[draw.integers(found.size)] = draw.choice([np.nan, np.inf, -np.inf])
    return found


def pair(draw: Draw, *, dtypes: tuple[str, ...] = DTYPES) -> tuple[np.ndarray, np.ndarray]:
    """Return two arrays that broadcast."""
    first = array(draw, dtypes=dtypes)
    other = first.shape if draw.random() < 0.6 else first.shape[1:]
    return first, array(draw, shape=other, dtypes=dtypes)


def like(draw: Draw, **more: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return two arrays of one shape."""
    first = array(draw, **more)
    return first, array(draw, shape=first.shape, **more)


def one(draw: Draw) -> tuple[np.ndarray]:
    return (array(draw),)


def with_axis(draw: Draw) -> tuple[np.ndarray, int]:
    found = array(draw, shape=SHAPES[draw.integers(1, len(SHAPES))])
    return found, int(draw.integers(-found.ndim, found.ndim))


def sliced(draw: Draw) -> tuple[np.ndarray, str]:
    found = array(draw, shape=SHAPES[draw.integers(1, len(SHAPES))])
    texts = []
    for length in found.shape[: draw.integers(1, found.ndim + 1)]:
        if length and draw.random() < 0.3:
            texts.append(str(draw.integers(-length, length)))
        else:
            ends = ["" if draw.random() < 0.4 else str(draw.integers(-6, 7)) for _ in range(2)]
            step = str(draw.choice([-3, -2, -1, 1, 2, 3])) if draw.random() < 0.6 else ""
            texts.append(":".join([*ends, step]) if step else ":".join(ends))
    return found, ", ".join(texts)


def box(draw: Draw) -> np.ndarray:
    found = draw.integers(0, 9, 4).astype(["int64", "float32", "float64"][draw.integers(3)])
    return found


def corners(each: np.ndarray) -> tuple[float, ...]:
    x, y, w, h = (float(value) for value in each)
    return x, y, x + w, y + h


def iou(a: np.ndarray, b: np.ndarray) -> float:
    shared = _shared(a, b)
    union = float(a[2]) * float(a[3]) + float(b[2]) * float(b[3]) - shared
    return shared / union if union else float((a == b).all())


def giou(a: np.ndarray, b: np.ndarray) -> float:
    p, q = corners(a), corners(b)
    hull = (max(p[2], q[2]) - min(p[0], q[0])) * (max(p[3], q[3]) - min(p[1], q[1]))
    union = float(a[2]) * float(a[3]) + float(b[2]) * float(b[3]) - _shared(a, b)
    return iou(a, b) - ((hull - union) / hull if hull else 0)


def _shared(a: np.ndarray, b: np.ndarray) -> float:
    p, q = corners(a), corners(b)
    return max(min(p[2], q[2]) - max(p[0], q[0]), 0) * max(min(p[3], q[3]) - max(p[1], q[1]), 0)


def clipped(each: np.ndarray, width: float, height: float) -> np.ndarray:
    left, top, right, bottom = corners(each)
    left, right = (min(max(x, 0), width) for x in (left, right))
    top, bottom = (min(max(y, 0), height) for y in (top, bottom))
    return np.array([left, top, right - left, bottom - top], np.float64)


def crop(x: np.ndarray, given: list[float]) -> np.ndarray:
    left, top, width, height = given
    return x[max(math.floor(top), 0) : math.ceil(top + height), max(math.floor(left), 0) : math.ceil(left + width)]


def floats(x: np.ndarray) -> np.ndarray:
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def norm(x: np.ndarray, kind: str = "l2") -> Any:
    return np.linalg.norm(floats(x).ravel(), {"l1": 1, "l2": 2, "linf": np.inf}[kind])


def shoelace(points: np.ndarray) -> float:
    area = 0.0
    for (x, y), (right, below) in zip(points.tolist(), [*points.tolist()[1:], *points.tolist()[:1]], strict=True):
        area += x * below - right * y
    return abs(area) / 2


def _vectors(draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    width = int(draw.integers(1, 5))
    first, other = (
        array(draw, shape=(int(draw.integers(1, 4)), width), dtypes=("float32", "float64")) for _ in range(2)
    )
    return first, other


def _matrices(draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    shapes = [((2, 3), (3, 4)), ((3,), (3, 2)), ((2, 3), (3,)), ((3,), (3,)), ((5, 2, 3), (3, 2))]
    first, other = shapes[draw.integers(len(shapes))]
    return array(draw, shape=first, dtypes=("int64", "float64")), array(draw, shape=other, dtypes=("int64", "float64"))


def _histogram(x: np.ndarray, bins: int, low: float, high: float) -> np.ndarray:
    return np.histogram(x, bins, (low, high))[0]


def _reshaped(draw: Draw) -> tuple[np.ndarray, list[int]]:
    found = array(draw, shape=[(5,), (3, 4), (2, 3, 4)][draw.integers(3)])
    return found, [found.size, 1] if draw.random() < 0.5 else [1, -1]


CASES: dict[str, Case] = {
    "nd_shape": Case(one, lambda x: list(x.shape)),
    "nd_ndim": Case(one, lambda x: x.ndim),
    "nd_size": Case(one, lambda x: x.size),
    "nd_dtype": Case(one, lambda x: x.dtype.name),
    "nd_array": Case(lambda draw: (array(draw, dtypes=("uint8", "int16")), "float32"), np.ndarray.astype),
    "nd_astype": Case(lambda draw: (array(draw, dtypes=("uint8", "int16")), "float64"), np.ndarray.astype),
    "nd_reshape": Case(_reshaped, lambda x, shape: x.reshape(shape)),
    "nd_transpose": Case(one, lambda x: x.T),
    "nd_flip": Case(with_axis, lambda x, axis: np.flip(x, axis)),
    "nd_slice": Case(sliced, lambda x, text: eval(f"x[{text}]", {"x": x})),
    "nd_crop": Case(
        lambda draw: (array(draw, shape=(5, 7, 3)), [float(each) / 2 for each in draw.integers(0, 16, 4)]), crop
    ),
    "nd_list": Case(lambda draw: (array(draw, shape=(int(draw.integers(4)),)),), lambda x: x.astype(float).tolist()),
    "nd_item": Case(lambda draw: (array(draw, shape=[(), (1,), (1, 1)][draw.integers(3)]),), lambda x: float(x.item())),
    "nd_decode": Case(one, lambda x: x),
    **{f"nd_{name}": Case(one, getattr(np, name)) for name in REDUCTIONS},
    **{
        f"nd_{name}_axis": Case(with_axis, lambda x, axis, name=name: getattr(np, name)(x, axis=axis))
        for name in REDUCTIONS
    },
    **{
        f"nd_{name}": Case(pair, getattr(np, name))
        for name in (
            "add", "subtract", "multiply", "divide", "floor_divide", "remainder", "minimum", "maximum", "equal",
            "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or", "logical_xor",
        )
    },
    "nd_power": Case(lambda draw: (array(draw, dtypes=("float32", "float64")), 2), np.power),
    **{
        f"nd_{name}": Case(one, getattr(np, name))
        for name in (
            "negative", "absolute", "sign", "sqrt", "exp", "log", "floor", "ceil", "logical_not", "isnan", "isfinite",
            "square",
        )
    },
    "nd_where": Case(
        lambda draw: (array(draw, shape=(3, 4), dtypes=("bool",)), array(draw, shape=(3, 4)), 7), np.where
    ),
    "nd_clip": Case(lambda draw: (array(draw, dtypes=("int16", "float32")), -3, 4), np.clip),
    "nd_norm": Case(
        lambda draw: (array(draw, shape=[(5,), (3, 4)][draw.integers(2)]), ["l1", "l2", "linf"][draw.integers(3)]), norm
    ),
    "nd_dot": Case(lambda draw: like(draw, dtypes=("int64", "float32", "float64")), np.vdot),
    "nd_matmul": Case(_matrices, np.matmul),
    "nd_cosine_similarity": Case(like, lambda x, y: np.vdot(floats(x), floats(y)) / (norm(x) * norm(y))),
    "nd_l2_distance": Case(like, lambda x, y: norm(floats(x) - floats(y))),
    "nd_hamming": Case(like, lambda x, y: np.count_nonzero(x != y)),
    "nd_hamming_bits": Case(
        lambda draw: like(draw, dtypes=("uint8", "uint64")), lambda x, y: int(np.bitwise_count(x ^ y).sum())
    ),
    "nd_maxsim": Case(_vectors, lambda document, query: (query @ document.T).max(axis=1).sum()),
    "nd_normalize": Case(one, lambda x: floats(x) / norm(x).astype(floats(x).dtype)),
    "nd_iou": Case(lambda draw: (box(draw), box(draw)), iou),
    "nd_giou": Case(lambda draw: (box(draw), box(draw)), giou),
    "nd_mask_iou": Case(
        lambda draw: like(draw, dtypes=("bool", "uint8")),
        lambda a, b: (a.astype(bool) & b.astype(bool)).sum() / max((a.astype(bool) | b.astype(bool)).sum(), 1),
    ),
    "nd_polygon_area": Case(lambda draw: (draw.normal(0, 9, (int(draw.integers(1, 6)), 2)),), shoelace),
    "nd_box_area": Case(lambda draw: (box(draw),), lambda each: float(each[2]) * float(each[3])),
    "nd_clip_box": Case(lambda draw: (box(draw), int(draw.integers(1, 9)), int(draw.integers(1, 9))), clipped),
    "nd_histogram": Case(lambda draw: (array(draw), 5, -10.0, 10.0), _histogram),
    "nd_percentile": Case(
        lambda draw: (array(draw, dtypes=("uint8", "float64")), float(draw.integers(101))), np.percentile
    ),
    "nd_nonzero": Case(one, lambda x: np.stack(np.nonzero(x))),
    "nd_argwhere": Case(one, np.argwhere),
    "nd_count_nonzero": Case(one, np.count_nonzero),
}


def draw_rows(name: str, seed: int, rows: int) -> tuple[pa.Table, list[Any]]:
    """Return arguments of a function, `a0`, `a1` ..., and NumPy's answer for each row; where it has none, NULLs."""
    draw = np.random.default_rng([seed, *name.encode()])
    case = CASES[name]
    drawn, answers = [], []
    for place in range(rows):
        arguments = case.draw(draw)
        answer = None
        if place % 7 != 3:
            with np.errstate(all="ignore"):
                answer = _answered(case, arguments)
        if answer is None:
            arguments = (None, *arguments[1:])
        drawn.append([as_struct(each) if isinstance(each, np.ndarray | np.generic) else each for each in arguments])
        answers.append(answer)
    columns = {}
    for place in range(len(drawn[0])):
        values = [row[place] for row in drawn]
        is_array = any(isinstance(each, dict) for each in values) or all(each is None for each in values)
        columns[f"a{place}"] = pa.array(values, TENSOR if is_array else None)
    return pa.table(columns), answers


def _answered(case: Case, arguments: tuple[Any, ...]) -> Any:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return case.answer(*arguments)
    except (ValueError, TypeError, IndexError):
        return None  # NumPy has no answer; that we raise then is another test


def check_answers(name: str, arguments: pa.Table, found: list[Any], answers: list[Any]) -> None:
    """Compare with NumPy: dtypes and shapes are equal, values to the tolerance that docs/tensors.md states."""
    assert len(found) == len(answers)
    for row, (value, answer) in enumerate(zip(found, answers, strict=True)):
        where = f"{name} of {arguments.slice(row, 1).to_pylist()}"
        if answer is None:
            assert value is None, where
            continue
        assert value is not None, where
        if isinstance(value, dict):
            wanted = np.asarray(answer)
            value = from_struct(value)
            assert (value.dtype.name, value.shape) == (wanted.dtype.name, wanted.shape), where
            answer = wanted
        elif isinstance(value, str | bool):
            assert value == answer, where
            continue
        given = list(arguments.slice(row, 1).to_pylist()[0].values())
        dtypes = [str(each["dtype"]) for each in given if isinstance(each, dict)]
        rtol = max((TOLERANCE.get(each, 1e-12) for each in dtypes), default=1e-12)
        size = max(_size(each) for each in given)
        np.testing.assert_allclose(
            np.asarray(value, dtype=np.float64), np.asarray(answer, dtype=np.float64), rtol=rtol, atol=rtol * size,
            err_msg=where,
        )


TOLERANCE = {"float16": 1e-2, "float32": 1e-5}


def _size(value: Any) -> float:
    """Return the square of the largest number: sums of products may cancel."""
    found = from_struct(value) if isinstance(value, dict) else None
    if found is None or not found.size:
        return 1.0
    finite = found.astype(np.float64)[np.isfinite(found.astype(np.float64))]
    return max(1.0, float(np.abs(finite).max(initial=0.0)) ** 2)
