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
               "object scheme, bucket and key as they are: s3://bucket/key. What came in a container: "
               "<container>!/<name in it>, the name percent-encoded."),
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
        Column("consent", pa.string(), "What the people in it agreed to, as stated by the source.", null="not stated",
               late=True),
        Column("cadence", pa.string(), "How often the source delivers, as stated by it.", null="not stated", late=True),
        Column("container_uri", pa.string(), "URI of the archive, shard or database table that it came in.",
               null="a file of its own", late=True),
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

CONTAINERS = Table(
    name="bronze.containers",
    doc="One observation of one archive or shard that was read to its end: what it held are rows of landed_files.",
    columns=(
        Column("container_id", pa.string(), "Content id (32 hex) of source, uri, size, time, etag and way of reading."),
        Column("source", pa.string(), "Name of the source the container belongs to."),
        Column("drop_name", pa.string(), "Name of the delivery inside the source, as the caller gave it."),
        Column("uri", pa.string(), "URI of the container, as in bronze.landed_files."),
        Column("path", pa.string(), "Path relative to the drop, as in bronze.landed_files."),
        Column("form", pa.string(), "What it was read as: archives, webdataset or parquet."),
        Column("reading", pa.string(), "Content id (32 hex) of what the source says: options, patterns, licence ..."),
        Column("size_bytes", pa.int64(), "Size when listed, bytes."),
        Column("mtime_at", TIMESTAMP, "Modification time when listed.", null="the storage tells none"),
        Column("etag", pa.string(), "Version tag of an object, without quotes.",
               null="a file, or the storage has none"),
        Column("num_kept", pa.int64(), "Files that were taken from it."),
        Column("num_refused", pa.int64(), "Files in it that were refused."),
        Column("num_left_out", pa.int64(), "Files in it that the patterns of the source leave out, hidden ones too."),
        Column("opened_at", TIMESTAMP, "When we read it.", clock=True),
        ROW_HASH,
    ),
    key=("container_id",),
    checks={"counts_not_negative": "num_kept >= 0 AND num_refused >= 0 AND num_left_out >= 0"},
)

KEEP_DECISIONS = Table(
    name="bronze.keep_decisions",
    doc="One decision about a file of a source with a keep policy: its bytes were kept, or dropped and never stored.",
    columns=(
        Column("decision_id", pa.string(), "Content id (32 hex) of the observation, the policy and the verdict."),
        Column("source", pa.string(), "Name of the source."),
        Column("drop_name", pa.string(), "Delivery inside the source."),
        Column("uri", pa.string(), "URI of the file, as in bronze.landed_files."),
        Column("path", pa.string(), "Path relative to the drop, percent-encoded where it is not plain text."),
        Column("size_bytes", pa.int64(), "Size when listed, bytes."),
        Column("mtime_at", TIMESTAMP, "Modification time when listed.", null="the storage tells none"),
        Column("etag", pa.string(), "Version tag of an object, without quotes.",
               null="a file, or the storage has none"),
        Column("sha256", pa.string(), "SHA-256 of the bytes, 64 hex: they are known again when they come again."),
        Column("verdict", pa.string(), "kept or dropped."),
        Column("rule", pa.string(), "Rule that keeps it; sample, unjudged (what the rules ask of is not known), or "
               "not_kept of what is dropped."),
        Column("is_sampled", pa.bool_(), "Whether it is in the policy's sample, whatever rule keeps it: an unbiased "
               "share of all that was seen."),
        Column("reason", pa.string(), "What was found, for a person: `unsure: confidence is 0.93`."),
        Column("policy_json", pa.string(), "The policy: canonical JSON of rules, sample and seed."),
        Column("group_keys", pa.map_(pa.string(), pa.string()), "As in bronze.landed_files."),
        Column("captured_at", TIMESTAMP, "When it was recorded, from the sidecar.", null="not stated"),
        Column("sidecar_json", pa.string(), "Sidecar record of this file, as JSON.", null="no sidecar"),
        Column("decided_at", TIMESTAMP, "When it was decided.", clock=True),
        ROW_HASH,
    ),
    key=("decision_id",),
    checks={"verdict_known": "verdict IN ('kept', 'dropped')"},
)

RAW_RECORDS = Table(
    name="bronze.raw_records",
    doc="One structured record as received: sidecar and database rows, parts of events; no value changed.",
    columns=(
        Column("record_id", pa.string(), "Content id (32 hex) of source, origin and payload."),
        Column("source", pa.string(), "Name of the source the record belongs to."),
        Column("origin", pa.string(), "Where it was read: URI of the file or of the database table."),
        Column("ordinal", pa.int64(), "Place inside the origin: line or record number, counted from 1."),
        Column("kind", pa.string(), "What the record is: sidecar, row (of a database), event (a part of one that was "
               "served); layout, cursor and capture: what columns a source had, how far it was read, "
               "and that it holds events."),
        Column("payload", pa.string(), "The record; of CSV: as a JSON object."),
        Column("received_at", TIMESTAMP, "When we recorded it.", clock=True),
        ROW_HASH,
    ),
    key=("record_id",),
    checks={"ordinal_positive": "ordinal >= 1"},
)
