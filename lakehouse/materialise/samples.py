"""What one training sample is made of: from the members of a dataset version to rows and fields of the loaders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.datasets.own_fields import read_values
from lakehouse.datasets.policies.kind import AnswerKind
from lakehouse.datasets.policies.label import LABEL
from lakehouse.media.kinds.image import IMAGE
from lakehouse.media.kinds.registry import kind_of_type, media_kinds
from loaders.format.fields import TYPES, Field, is_number_list
from loaders.publishing.planning import Layout

ENTITY = Field("entity_id", pa.string(), doc="SHA-256 of the bytes: joins back to the lake and to opinions.")
CONTENT = Field("content", pa.binary(), doc="Bytes as they were landed.")
MEDIA_TYPE = Field("media_type", pa.string(), doc="Media type found in the bytes.")
WEIGHT = Field("weight", pa.float64(), doc="Sampling weight, 1 unless the recipe says otherwise.")

LAYOUT = Layout(size_column="size_bytes")


@dataclass(frozen=True, slots=True)
class SampleTable:
    """Rows without their bytes, and what to store of them.

    Attributes:
        rows: One row per member.
        fields: Columns to store.
        objects: Field -> column of `rows` with the place of its bytes, as `lakehouse.objects.read_entity` takes it.
    """

    rows: pa.Table
    fields: tuple[Field, ...]
    objects: Mapping[str, str]


def sample_table(
    members: pa.Table,
    classes: Sequence[str],
    own: Mapping[str, str] | None = None,
    *,
    answers: AnswerKind | None = LABEL,
    pixels: str = "rgb",
) -> SampleTable:
    """Return the samples of members as `read_members` gives them.

    Fields meet here: those of what a member is come from its kind of media (`media_field`), those of what was said
    about it from the recipe's kind of answer (`answers`); a new kind of either states its field in its own place.

    The bytes are `image` or `audio`, which the reader decodes: pictures to RGB or, where the recipe says `pixels` =
    "native", as each is stored. A dataset of no kind of media has `content`, bytes as they are.
    Where the recipe asked a question, the columns of `answers`, its kind of answer, follow (of labels `label`,
    `label_index` and `label_probs`), then columns of the selection's own, `own` by type.
    """
    content = media_field(members["media_type"], pixels=pixels)
    columns = {name: members[name] for name in ("entity_id", "media_type", "weight", "split", "size_bytes")}
    # With the hash behind it: whoever reads the bytes checks them.
    columns["object_uri"] = pc.binary_join_element_wise(members["object_uri"], members["entity_id"], "#")
    fields = [ENTITY, content, MEDIA_TYPE, WEIGHT]
    for field, values in () if answers is None else answers.samples(members, classes):
        columns[field.name] = values
        fields.append(field)
    for name, values in _own(members, own or {}):
        columns[name] = values
        fields.append(_own_field(name, values))
    return SampleTable(pa.table(columns), tuple(fields), {content.name: "object_uri"})


def media_field(media_types: pa.ChunkedArray, *, pixels: str = "rgb") -> Field:
    """Return the field of the bytes of members of these media types, which are of one kind: `build` sees to that."""
    found = {kind_of_type(media_kinds(), str(each)) for each in pc.unique(media_types).to_pylist()}
    kind = found.pop() if len(found) == 1 else None
    if kind is None:
        return CONTENT
    return kind.stored_sample if pixels == "native" and kind.stored_sample is not None else kind.sample


def of_one_size(samples: SampleTable, size: tuple[int, int]) -> SampleTable:
    """Return the samples with the size (height, width) that all their pictures have: they come as one array then."""
    fields = tuple(replace(each, shape=(*size, 3)) if each == IMAGE.sample else each for each in samples.fields)
    return replace(samples, fields=fields)


def _own(members: pa.Table, own: Mapping[str, str]) -> Iterator[tuple[str, pa.ChunkedArray]]:
    read = read_values(members["fields_json"].to_pylist(), own, TYPES) if own else pa.table({})
    yield from zip(read.column_names, read.columns, strict=True)


def _own_field(name: str, values: pa.ChunkedArray) -> Field:
    shape = None
    if is_number_list(values.type):
        lengths = pc.unique(pc.list_value_length(values).drop_null()).to_pylist()
        shape = (lengths[0],) if len(lengths) == 1 and lengths[0] else None
    # Of all members: whether a column comes masked, or as one array, does not differ from split to split.
    nullable = values.null_count > 0
    return Field(name, values.type, shape=shape, nullable=nullable, doc="Column of the recipe's selection.")
