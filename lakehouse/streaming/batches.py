"""One batch of a stream: rows of the query and the bytes of their entities, read, compared with their ids, decoded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.derived.reading import read_by
from lakehouse.home import Root
from lakehouse.media.kinds.registry import Judges
from lakehouse.streaming.asking import ENTITY, Rows
from lakehouse.streaming.sharing import CONTRACT
from loaders.axes import Ints, Mask
from loaders.decoding.values import Batch, decode_blob, dense_dtype, dense_shape, fill_dense, python_values
from loaders.errors import DecodeError, FormatError, TransformError
from loaders.format.fields import Field

IS_PAD = "is_pad"


@dataclass(frozen=True, slots=True)
class Maker:
    """What all batches of a stream have in common; used by several threads.

    Attributes:
        root: The lake.
        columns: What a batch has.
        decoders: {field of the bytes: what they go through}, as `make_reader` takes it.
        transform: The caller's function.
        judges: Limits of the lake.
        seed: What decoders draw from.
    """

    root: Root
    columns: tuple[Field, ...]
    decoders: Mapping[str, Any]
    transform: Callable[[Batch], Batch] | None
    judges: Judges
    seed: int

    def batch(self, rows: Rows, places: Ints, is_pad: Mask | None, *, epoch: int, step: int) -> Batch:
        """Return a batch.

        Args:
            rows: The rows of the query.
            places: int64 (n,): which of them.
            is_pad: bool (n,): which are padding; None: batches do not say.
            epoch: Its epoch.
            step: Its number in it.

        Raises:
            DecodeError: If bytes cannot be decoded.
            IngestError: If bytes are missing, or others than the entity is named by.
            TransformError: If the transform raises.
        """
        first = int(places.min())
        last = int(places.max()) + 1
        near = pa.array(places - first)
        values = rows.values.table(first, last).take(near)
        batch: Batch = {}
        for field in self.columns:
            if field.name == rows.content.name:
                where = rows.places.table(first, last)["bytes"].take(near).to_pylist()
                batch[field.name] = self._decoded(field, where, values[ENTITY].to_pylist(), places, epoch)
            else:
                batch[field.name] = _plain(values[field.name].combine_chunks(), field)
        if is_pad is not None:
            batch[IS_PAD] = is_pad
        return batch if self.transform is None else self._transformed(batch, epoch, step)

    def _decoded(self, field: Field, where: list[str], ids: list[str], places: Ints, epoch: int) -> object:
        decoder: Any = self.decoders.get(field.name)
        is_dense = hasattr(decoder, "into")
        dense = np.empty((len(where), *decoder.shape), dtype=decoder.dtype) if is_dense else None
        found: list[object] = []
        for at, (place, entity) in enumerate(zip(where, ids, strict=True)):
            raw = memoryview(read_by(self.root, place, self.judges))
            seed = self._seed(epoch, int(places[at]))
            try:
                if dense is not None:
                    decoder.into(raw, dense[at], seed=seed, max_pixels=self.judges.max_pixels)
                elif decoder is not None:
                    found.append(decoder.decoded(raw, seed=seed, max_pixels=self.judges.max_pixels)[0])
                else:
                    found.append(decode_blob(raw, field, max_pixels=self.judges.max_pixels))
            except FormatError:  # of the arguments, not of the value
                raise
            except (DecodeError, ValueError, OSError, SyntaxError) as error:
                raise DecodeError(
                    f"row {places[at]} of the query, entity {entity}: {error}; leave it out of the query",
                    row=int(places[at]),
                    column=field.name,
                ) from error
        return found if dense is None else dense

    def _seed(self, epoch: int, row: int) -> int:
        text = f"{CONTRACT}|{self.seed}|{epoch}|{row}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def _transformed(self, batch: Batch, epoch: int, step: int) -> Batch:
        assert self.transform is not None
        try:
            result: object = self.transform(batch)
        except (Exception, SystemExit) as error:
            raise TransformError(
                f"the transform raised {type(error).__name__} on batch {step} of epoch {epoch}: {error}"
            ) from error
        if not isinstance(result, dict):
            raise FormatError(f"a transform returns the batch, a dict; found {type(result).__name__}")
        return result


def _plain(values: pa.Array, field: Field) -> object:
    """Return a column as the loader gives it: an array, masked where the column has nulls, or a list."""
    shape, dtype = dense_shape(field), dense_dtype(field)
    if shape is None or dtype is None:
        return python_values(values, field)
    out = np.empty((len(values), *shape), dtype=dtype)
    fill_dense(out, values, field)
    return np.ma.MaskedArray(out, mask=np.asarray(values.is_null())) if field.nullable else out
