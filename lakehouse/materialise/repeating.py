"""Rows that are repeated in what is materialised: as often as the balance of a recipe says."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from lakehouse.materialise.samples import WEIGHT, SampleTable
from loaders.format.fields import Field

SAMPLE = Field("sample_id", pa.string(), doc="Names a row: the entity, and which of its rows this is.")
REPEAT = Field("repeat", pa.int64(), doc="Which of the rows of its entity this is, from 0; they are equal beside it.")


def repeated(samples: SampleTable) -> SampleTable:
    """Return the samples with as many rows of each member as its weight says; their weight is 1 then.

    Args:
        samples: Their weights are whole numbers from 1.
    """
    times = np.asarray(samples.rows[WEIGHT.name]).astype(np.int64)  # (members,)
    rows = samples.rows.take(pa.array(np.repeat(np.arange(len(times)), times)))
    firsts = np.repeat(np.cumsum(times) - times, times)  # (rows,): the first row of each row's member
    numbers = np.arange(rows.num_rows) - firsts
    names = [f"{entity}#{number}" for entity, number in zip(rows["entity_id"].to_pylist(), numbers, strict=True)]
    rows = rows.set_column(rows.column_names.index(WEIGHT.name), WEIGHT.name, pa.array(np.ones(rows.num_rows)))
    rows = rows.append_column(SAMPLE.name, pa.array(names, SAMPLE.type))
    rows = rows.append_column(REPEAT.name, pa.array(numbers, REPEAT.type))
    return SampleTable(rows, (SAMPLE, *samples.fields, REPEAT), samples.objects)
