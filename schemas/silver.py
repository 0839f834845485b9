"""Silver: what is known about distinct things. Opinions have a module of their own."""

from __future__ import annotations

import pyarrow as pa

from schemas.model import ROW_HASH, TIMESTAMP, Column, Table

ENTITIES = Table(
    name="silver.entities",
    doc="One distinct thing: content-addressed bytes, or something derived from another entity.",
    columns=(
        Column("entity_id", pa.string(), "SHA-256 (64 hex) of the bytes; of a derived entity that is not "
               "stored: of (parent, operation, canonical parameters)."),
        Column("media_type", pa.string(), "Media type found in the bytes, for example image/png."),
        Column("size_bytes", pa.int64(), "Size of the bytes; of a frame of a video, which is stored nowhere, about."),
        Column("object_uri", pa.string(), "Where the bytes are: relative to the lake, or a URI when linked.",
               null="derived and not stored"),
        Column("storage", pa.string(), "copy (the lake holds the bytes), link (the source does), none."),
        Column("parent_id", pa.string(), "Entity this one was derived from.", null="not derived"),
        Column("operation", pa.string(), "Name of the derivation.", null="not derived"),
        Column("parameters_json", pa.string(), "Canonical JSON of the derivation's parameters.",
               null="not derived"),
        Column("group_keys", pa.map_(pa.string(), pa.string()), "What must not be split between train and "
               "test: patient, speaker, session, site ... by name; empty when nothing is known."),
        Column("captured_at", TIMESTAMP, "When it was recorded, from the media itself.", null="not known"),
        Column("pixel_type", pa.string(), "Type of the values of a picture as the reader decodes it: uint8 (8 bits "
               "and fewer), or of a deeper one uint16, int32, float32 ...", null="no picture"),
        Column("origin", pa.string(), "real, synthetic or augmented."),
        Column("created_at", TIMESTAMP, "When we first recorded the entity.", clock=True),
        Column("first_version", pa.int64(), "Version of this table that first held the entity: its age, which decides "
               "the place of a leak group in a split.", clock=True, commit=True),
        ROW_HASH,
    ),
    key=("entity_id",),
    checks={
        "size_not_negative": "size_bytes >= 0",
        "origin_known": "origin IN ('real', 'synthetic', 'augmented')",
        "storage_known": "storage IN ('copy', 'link', 'none')",
        "bytes_or_parent": "object_uri IS NOT NULL OR parent_id IS NOT NULL",
    },
)

ENTITY_SOURCES = Table(
    name="silver.entity_sources",
    doc="Provenance: these bytes were also seen there. Same bytes in two places = one entity, two rows.",
    columns=(
        Column("entity_id", pa.string(), "The entity."),
        Column("landed_id", pa.string(), "The observation in bronze.landed_files."),
        Column("source", pa.string(), "Name of the source."),
        Column("drop_name", pa.string(), "Delivery inside the source."),
        Column("uri", pa.string(), "file:// URI where the bytes were seen."),
        Column("path", pa.string(), "Path relative to the drop, percent-encoded where not plain text."),
        Column("name", pa.string(), "Last part of the path, for people."),
        Column("group_keys", pa.map_(pa.string(), pa.string()), "What this observation says must not be split "
               "between train and test; empty when it says nothing."),
        Column("seen_at", TIMESTAMP, "When the observation was linked to the entity.", clock=True),
        ROW_HASH,
    ),
    key=("entity_id", "landed_id"),
)

EMBEDDINGS = Table(
    name="silver.embeddings",
    doc="One vector that one model gave one entity.",
    columns=(
        Column("entity_id", pa.string(), "The entity."),
        Column("model", pa.string(), "Who gave it: name@version of an embedder, with + and the first 12 hex digits of "
               "the SHA-256 of its weights where it has some."),
        Column("vector", pa.list_(pa.float32()), "Finite numbers, as many for all entities of one model."),
        Column("embedded_at", TIMESTAMP, "When it was computed.", clock=True),
        ROW_HASH,
    ),
    key=("entity_id", "model"),
    checks={"model_named": "model <> ''"},
)

DIMENSIONS = Table(
    name="silver.dimensions",
    doc="One measured property: (entity, dimension, extractor, extractor version) -> typed value.",
    columns=(
        Column("entity_id", pa.string(), "The entity that was measured."),
        Column("dimension", pa.string(), "Name of the property, for example width or brightness."),
        Column("extractor", pa.string(), "Name of the extractor that measured it."),
        Column("extractor_version", pa.int32(), "Version of the extractor, counted from 1."),
        Column("value_kind", pa.string(), "Which column holds the value: integer and number in `number`, "
               "text in `text`, boolean in `boolean`, timestamp in `instant`, none when it has no value."),
        Column("number", pa.float64(), "Value of kind number or integer (exact below 2**53).",
               null="another kind, or no value"),
        Column("text", pa.string(), "Value of kind text.", null="another kind, or no value"),
        Column("boolean", pa.bool_(), "Value of kind boolean.", null="another kind, or no value"),
        Column("instant", TIMESTAMP, "Value of kind timestamp.", null="another kind, or no value"),
        Column("unit", pa.string(), "Unit of the value: px, bytes, bits, 1 ...", null="has no unit"),
        Column("extracted_at", TIMESTAMP, "When it was measured.", clock=True),
        ROW_HASH,
    ),
    key=("entity_id", "dimension", "extractor", "extractor_version"),
    checks={
        "version_positive": "extractor_version >= 1",
        "kind_known": "value_kind IN ('integer', 'number', 'text', 'boolean', 'timestamp', 'none')",
    },
)

DERIVATIONS = Table(
    name="silver.derivations",
    doc="One thing that was made of an entity by an operation with parameters: an entity, or nothing.",
    columns=(
        Column("derivation_id", pa.string(), "Content id (32 hex) of parent, operation and parameters."),
        Column("place", pa.int64(), "Place among what was made, counted from 1; 0: nothing was."),
        Column("parent_id", pa.string(), "The entity that it was made of."),
        Column("operation", pa.string(), "Transforms as name@version, yours as module.name@version, joined by |."),
        Column("parameters_json", pa.string(), "Canonical JSON list of the parameters of each transform."),
        Column("entity_id", pa.string(), "The entity that was made: SHA-256 of its bytes. Two parents may give one.",
               null="nothing was made"),
        Column("affine", pa.list_(pa.float64()), "Where a pixel (x, y) of the parent is, upright: [a, b, c, d, e, f], "
               "x' = ax + by + c, y' = dx + ey + f.", null="no picture, or it has no such rule"),
        Column("derived_at", TIMESTAMP, "When.", clock=True),
        ROW_HASH,
    ),
    key=("derivation_id", "place"),
    checks={"nothing_or_something": "(place = 0 AND entity_id IS NULL) OR (place > 0 AND entity_id IS NOT NULL)"},
)

OBJECT_MEMBERS = Table(
    name="silver.object_members",
    doc="One event of the members of one reified object (a thing that is followed, a place). The row of the highest "
    "ordinal of object, member and part holds; the view object_members has those that are members now.",
    columns=(
        Column("object_id", pa.string(), "The entity that stands for the object."),
        Column("member_id", pa.string(), "The entity that it is seen in, or that was recorded there."),
        Column("part", pa.string(), "What of the member, as canonical JSON {actor, slot, track}; '' for all of it."),
        Column("ordinal", pa.int64(), "Place among the events of object, member and part, counted from 1."),
        Column("op", pa.string(), "joins, also with another interval than before, or leaves."),
        Column("scope", pa.string(), "What made it: `tracks <question>`, ` of <actors>` where some are chosen; "
               "`places <name>`."),
        Column("role", pa.string(), "track or position."),
        Column("frame_start", pa.int64(), "First frame, from 0.", null="no track"),
        Column("frame_end", pa.int64(), "Last frame, included.", null="no track"),
        Column("seen_at", TIMESTAMP, "When the member was recorded.", null="not known, or a track"),
        Column("superseded_by", pa.string(), "The object that has most of its members now.",
               null="it joins, or its object goes on, or nobody has them"),
        Column("recorded_at", TIMESTAMP, "When we learned it.", clock=True),
        ROW_HASH,
    ),
    key=("object_id", "member_id", "part", "ordinal"),
    checks={
        "ordinal_positive": "ordinal >= 1",
        "op_known": "op IN ('joins', 'leaves')",
        "role_known": "role IN ('track', 'position')",
        "superseded_leaves": "superseded_by IS NULL OR op = 'leaves'",
    },
)

REJECTED = Table(
    name="silver.rejected",
    doc="One input that did not pass, with rule and reason. seen = stored + duplicate + rejected, always.",
    columns=(
        Column("rejected_id", pa.string(), "Content id (32 hex) of step, subject, rule, reason and, where "
               "it is stated, judged_by."),
        Column("step", pa.string(), "Step that rejected it: entities, dimensions, opinions ..."),
        Column("subject", pa.string(), "What was rejected: a landed_id, an entity_id, or file:line."),
        Column("rule", pa.string(), "Short stable name of the rule, for example truncated."),
        Column("reason", pa.string(), "One sentence for a person."),
        Column("judged_by", pa.string(), "What the verdict rests on: `probe 2`, or a limit beside it, as in `probe 2, "
               "max_pixels 64000000`. Under another one the step looks again; the row stays as history.",
               null="circumstances that may pass, or a step that always looks again"),
        Column("source", pa.string(), "Name of the source.", null="belongs to no source"),
        Column("location", pa.string(), "URI, file or line where it stands.", null="only the subject is known"),
        Column("raw", pa.string(), "The input's own text, at most 10,000 characters.", null="not text"),
        Column("rejected_at", TIMESTAMP, "When it was rejected.", clock=True),
        ROW_HASH,
    ),
    key=("rejected_id",),
)
