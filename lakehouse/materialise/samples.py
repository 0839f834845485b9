"""What one training sample is made of: from the members of a dataset version to rows and fields of the loaders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.datasets.policies.kind import AnswerKind
from lakehouse.datasets.policies.label import LABEL
from lakehouse.datasets.selecting.own_fields import read_values
from lakehouse.derived.members import are_clips, are_derived, are_variants, clip_shape, member_bytes, member_places
from lakehouse.media.kinds.image import IMAGE
from lakehouse.media.kinds.registry import kind_of_type, media_kinds
from lakehouse.media.kinds.video import VIDEO
from loaders.format.fields import TYPES, Field, is_number_list
from loaders.publishing.planning import Layout

ENTITY = Field("entity_id", pa.string(), doc="SHA-256 of the bytes: joins back to the lake and to opinions.")
CONTENT = Field("content", pa.binary(), doc="Bytes as they were landed.")
MEDIA_TYPE = Field("media_type", pa.string(), doc="Media type found in the bytes.")
WEIGHT = Field("weight", pa.float64(), doc="Sampling weight, 1 unless the recipe says otherwise.")

PLAIN = ("entity_id", "media_type", "weight", "split", "size_bytes", "row_id")

PARENT = Field("parent_id", pa.string(), doc="Entity that the sample is cut out of, is a variant of, or is.")

IS_VARIANT = Field("is_variant", pa.bool_(), doc="Whether the sample is a variant of another one of the same parent.")

CLIP_DOC = "Frames of a video, uint8, (frames, height, width, 3), upright RGB."

LAYOUT = Layout(size_column="size_bytes")


@dataclass(frozen=True, slots=True)
class SampleTable:
    """Rows without their bytes, and what to store of them.

    Attributes:
        rows: One row per member.
        fields: Columns to store.
        objects: Field -> column of `rows` with the place of its bytes, as `read_derived` takes it.
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

    The bytes are `image`, `audio` or `video`, which the reader decodes: pictures to RGB or, where the recipe says
    `pixels` = "native", as each is stored; clips of videos are arrays. A dataset of no kind of media has `content`,
    bytes as they are.
    Where the recipe asked a question, the columns of `answers`, its kind of answer, follow (of labels `label`,
    `label_index` and `label_probs`), then columns of the selection's own, `own` by type.
    """
    content = clip_field(members) if are_clips(members) else media_field(members["media_type"], pixels=pixels)
    columns = {name: members[name] for name in PLAIN if name in members.column_names}
    columns["object_uri"] = member_places(members)
    fields = [ENTITY, content, MEDIA_TYPE, WEIGHT]
    if pc.any(are_derived(members)).as_py():
        columns |= {PARENT.name: members["source_id"], "size_bytes": member_bytes(members)}
        fields = [ENTITY, PARENT, content, MEDIA_TYPE, WEIGHT]
    if pc.any(are_variants(members)).as_py():
        columns[IS_VARIANT.name] = are_variants(members)
        fields.append(IS_VARIANT)
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


def clip_field(members: pa.Table) -> Field:
    """Return the field of members that are clips: named as that of videos, and one array where all have one shape."""
    shape = clip_shape(members)
    # Without its header where there is one shape: the reader copies it into the batch then, and gives one array.
    codec = "npy" if None in shape else "ndarray"
    return Field(VIDEO.sample.name, pa.binary(), codec=codec, dtype="uint8", shape=shape, doc=CLIP_DOC)


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
