"""Bronze: what arrived, as it arrived."""

from __future__ import annotations

import pyarrow as pa

from schemas.model import ROW_HASH, TIMESTAMP, Column, Table

LANDED_FILES = Table(
    name="bronze.landed_files",
    doc="One observation of one file of a drop: this path held these bytes when we looked.",
    columns=(
        Column("landed_id", pa.string(), "Content id (32 hex) of source, uri, size, time, etag, outcome, description."),
        Column("source", pa.string(), "Name of the source the file belongs to."),
        Column("drop_name", pa.string(), "Name of the delivery inside the source, as the caller gave it."),
        Column("uri", pa.string(), "file:// URI of the file; bytes of the name percent-encoded, so exact. Of an "
               "object scheme, bucket and key as they are: s3://bucket/key."),
        Column("path", pa.string(), "Path relative to the drop, percent-encoded where it is not plain text."),
        Column("name", pa.string(), "Last part of the path for people to read; undecodable bytes replaced."),
        Column("size_bytes", pa.int64(), "Size when listed, bytes; 0 for what is not a regular file."),
        Column("mtime_at", TIMESTAMP, "Modification time when listed.", null="the storage tells none"),
        Column("etag", pa.string(), "Version tag of an object, without quotes.",
               null="a file, or the storage has none"),
        Column("status", pa.string(), "stored (bytes are an object), linked (bytes stay there) or refused."),
        Column("sha256", pa.string(), "SHA-256 of the bytes, 64 hex.", null="refused, never read to the end"),
        Column("object_uri", pa.string(), "Where the bytes are: relative to the lake, or a URI when linked.",
               null="refused"),
        Column("rule", pa.string(), "Rule that refused the file.", null="not refused"),
        Column("reason", pa.string(), "Why it was refused, for a person.", null="not refused"),
        Column("licence", pa.string(), "Licence of the drop as stated by the source.", null="not stated"),
        Column("campaign", pa.string(), "Collection campaign as stated by the source.", null="not stated"),
        Column("origin", pa.string(), "real, synthetic or augmented, as stated by the source."),
        Column("captured_at", TIMESTAMP, "When it was recorded, from the sidecar.", null="not stated"),
        Column("group_keys", pa.map_(pa.string(), pa.string()), "What must not be split between train and "
               "test (patient, speaker ...), from the sidecar; empty when nothing is stated."),
        Column("sidecar_json", pa.string(), "Sidecar record of this file, as JSON.", null="no sidecar"),
        Column("landed_at", TIMESTAMP, "When we recorded the observation.", clock=True),
        ROW_HASH,
    ),
    key=("landed_id",),
    checks={
        "size_not_negative": "size_bytes >= 0",
        "status_known": "status IN ('stored', 'linked', 'refused')",
        "bytes_or_reason": "(sha256 IS NOT NULL AND object_uri IS NOT NULL) OR rule IS NOT NULL",
    },
)

RAW_RECORDS = Table(
    name="bronze.raw_records",
    doc="One structured record as received: sidecar rows, annotation files, messages; no value changed.",
    columns=(
        Column("record_id", pa.string(), "Content id (32 hex) of source, origin and payload."),
        Column("source", pa.string(), "Name of the source the record belongs to."),
        Column("origin", pa.string(), "Where it was read: file:// URI of the file."),
        Column("ordinal", pa.int64(), "Place inside the origin: line or record number, counted from 1."),
        Column("kind", pa.string(), "What the record is: sidecar, annotation or message."),
        Column("payload", pa.string(), "The record; of CSV: as a JSON object."),
        Column("received_at", TIMESTAMP, "When we recorded it.", clock=True),
        ROW_HASH,
    ),
    key=("record_id",),
    checks={"ordinal_positive": "ordinal >= 1"},
)
