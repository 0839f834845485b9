"""One file of a planned dataset: what travels to whoever writes it, as Arrow and never as pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from loaders.format.fields import Field, field_from_json
from loaders.format.manifest import PartReceipt
from loaders.format.parts import PartPlan

_BINARY: pa.DataType = pa.binary()
TASK_SCHEMA = pa.schema([("task", pa.string()), ("payload", _BINARY)])


@dataclass(frozen=True, slots=True)
class Taken:
    """A published part that is taken over instead of written.

    Attributes:
        place: Where it lies, from the folder that holds the versions: `<version id>/<split>/<file>`.
        receipt: What its manifest says of it.
    """

    place: str
    receipt: PartReceipt


@dataclass(frozen=True, slots=True)
class PartTask:
    """One Parquet file to be written, or to be taken over from another version.

    Attributes:
        split: Split it belongs to.
        part: Its place and its row groups.
        fields: The columns to store.
        objects: {field: column of `rows` with the URI of its bytes}.
        rows: The part's rows in write order, without the bytes; none of a part that is taken over.
        key: Content id of all of the above: a part written for another key is written again.
        taken: The part that is taken over; None: it is written.
    """

    split: str
    part: PartPlan
    fields: tuple[Field, ...]
    objects: Mapping[str, str]
    rows: pa.Table
    key: str
    taken: Taken | None = None

    @property
    def name(self) -> str:
        """`<split>/<file>`: unique in the dataset."""
        return f"{self.split}/{self.part.name}"

    def to_bytes(self) -> bytes:
        """Return the task as an Arrow stream."""
        note = {
            "split": self.split,
            "part": [self.part.index, self.part.start, self.part.stop, list(self.part.row_groups)],
            "fields": [field.to_json() for field in self.fields],
            "objects": dict(self.objects),
            "key": self.key,
            "taken": None if self.taken is None else [self.taken.place, self.taken.receipt.to_json()],
        }
        rows = self.rows.replace_schema_metadata({b"task": json.dumps(note).encode()})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows)
        payload: bytes = sink.getvalue().to_pybytes()
        return payload

    @classmethod
    def from_bytes(cls, payload: bytes) -> PartTask:
        """Read what `to_bytes` gave."""
        rows = pa.ipc.open_stream(payload).read_all()
        note = json.loads((rows.schema.metadata or {})[b"task"])
        index, start, stop, row_groups = note["part"]
        taken = note["taken"]
        return cls(
            split=note["split"],
            part=PartPlan(index, start, stop, tuple(row_groups)),
            fields=tuple(field_from_json(entry) for entry in note["fields"]),
            objects=note["objects"],
            rows=rows.replace_schema_metadata(None),
            key=note["key"],
            taken=None if taken is None else Taken(taken[0], PartReceipt.from_json(taken[1])),
        )
