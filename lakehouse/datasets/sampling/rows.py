"""The rows of what is considered, with their answers, where samples are made of entities."""

from __future__ import annotations

import pyarrow as pa

SAMPLES = pa.schema([
    ("entity_id", pa.string()), ("source_id", pa.string()), ("parent_ids", pa.list_(pa.string())),
    ("operation", pa.string()), ("parameters_json", pa.string()), ("size_bytes", pa.int64()),
    ("fields_json", pa.string()), ("label", pa.string()), ("label_share", pa.float64()),
    ("label_votes", pa.map_(pa.string(), pa.int64())), ("all_votes", pa.int64()), ("answer_json", pa.string()),
    ("problem", pa.string()), ("problem_detail", pa.string()), ("cell", pa.string()),
])  # fmt: skip
"""`source_id` is the entity that it is made of, the first of several, or that it is; `problem`: why it is none."""
