"""Vectors: norms, products, distances. Of each row, computed in the dtype of the arrays as NumPy does."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lakehouse.tensors.elements import broadcast
from lakehouse.tensors.function import ArrayFunction
from lakehouse.tensors.value import Array

ORDERS = {"l1": 1, "l2": 2, "linf": np.inf}


def _floats(x: Array) -> Array:
    """Return whole numbers as float64; np.linalg.norm does, and nothing overflows."""
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def _flat(x: Array) -> Array:
    return x.reshape(len(x), math.prod(x.shape[1:]))


def _norm(x: Array, kind: str = "l2") -> Array:
    if kind not in ORDERS:
        raise ValueError(f"unknown norm {kind!r}; known: {', '.join(ORDERS)}")
    flat = _flat(_floats(x))
    if kind == "l2":
        # As np.linalg.norm of one array: sqrt(x . x).
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", flat, flat)))
    found: Array = np.linalg.norm(flat, ORDERS[kind], axis=1)
    return found


def _same(x: Array, y: Array) -> tuple[Array, Array]:
    if x.shape[1:] != y.shape[1:]:
        raise ValueError(f"shapes {x.shape[1:]} and {y.shape[1:]} differ")
    dtype = np.result_type(x, y)
    return _flat(x.astype(dtype, copy=False)), _flat(y.astype(dtype, copy=False))


def _dot(x: Array, y: Array) -> Array:
    a, b = _same(x, y)
    if a.dtype.kind == "b":
        return np.asarray((a & b).any(axis=1))
    return np.asarray(np.einsum("ij,ij->i", a, b))


def _cosine(x: Array, y: Array) -> Array:
    a, b = (_floats(each) for each in _same(x, y))
    products = np.einsum("ij,ij->i", a, b)
    found: Array = products / (_norm(a) * _norm(b))
    return found


def _l2(x: Array, y: Array) -> Array:
    a, b = (_floats(each) for each in _same(x, y))
    return _norm(a - b)


def _hamming(x: Array, y: Array) -> Array:
    a, b = _same(x, y)
    return np.asarray(np.count_nonzero(a != b, axis=1))


def _hamming_bits(x: Array, y: Array) -> Array:
    a, b = _same(x, y)
    found: Array = np.bitwise_count(np.bitwise_xor(a, b)).sum(axis=1, dtype=np.int64)
    return found


def _maxsim(document: Array, query: Array) -> Array:
    if document.ndim != 3 or query.ndim != 3 or document.shape[2] != query.shape[2]:
        raise ValueError(
            f"a document (m, d) and a query (k, d) are wanted, found {document.shape[1:]} and {query.shape[1:]}"
        )
    if not document.shape[1]:
        raise ValueError("a document of no vectors")
    # alike: (rows, vectors of the query, vectors of the document)
    alike = np.matmul(_floats(query), _floats(document).swapaxes(1, 2))
    found: Array = alike.max(axis=2).sum(axis=1)
    return found


def _normalize(x: Array) -> Any:
    floats = _floats(x)
    return floats / _norm(floats).reshape(-1, *[1] * (x.ndim - 1)).astype(floats.dtype, copy=False)


def _matmul(x: Array, y: Array) -> Array:
    if x.ndim < 2 or y.ndim < 2:
        raise ValueError("matmul takes arrays of at least one dimension")
    if x.ndim == 2 and y.ndim == 2:
        return np.asarray(np.matmul(x[:, None, :], y[:, :, None]))[:, 0, 0]
    if x.ndim == 2:
        return np.asarray(np.matmul(x.reshape(len(x), *[1] * (y.ndim - 2), x.shape[1]), y))[..., 0, :]
    if y.ndim == 2:
        return np.asarray(np.matmul(x, y.reshape(len(y), *[1] * (x.ndim - 3), y.shape[1], 1)))[..., 0]
    return np.asarray(np.matmul(*broadcast([x, y])))


FUNCTIONS = (
    ArrayFunction(
        "nd_norm", _norm, ("x",), "number", "np.linalg.norm(x.ravel(), ord), ord of l1, l2 (left out) or linf",
        values=("ord",), optional=1,
    ),
    ArrayFunction("nd_dot", _dot, ("x", "y"), "number", "np.vdot(x, y), of equal shapes"),
    ArrayFunction("nd_matmul", _matmul, ("x", "y"), "array", "np.matmul(x, y)"),
    ArrayFunction(
        "nd_cosine_similarity", _cosine, ("x", "y"), "number", "np.vdot(x, y) / (norm(x) * norm(y))"
    ),
    ArrayFunction("nd_l2_distance", _l2, ("x", "y"), "number", "np.linalg.norm((x - y).ravel())"),
    ArrayFunction("nd_hamming", _hamming, ("x", "y"), "integer", "np.count_nonzero(x != y), of equal shapes"),
    ArrayFunction("nd_hamming_bits", _hamming_bits, ("x", "y"), "integer", "np.bitwise_count(x ^ y).sum()"),
    ArrayFunction(
        "nd_maxsim", _maxsim, ("document", "query"), "number", "(query @ document.T).max(axis=1).sum()"
    ),
    ArrayFunction("nd_normalize", _normalize, ("x",), "array", "x / np.linalg.norm(x.ravel())"),
)  # fmt: skip
