"""Opinions: who answered which question about what, when, and when we learned it."""

from __future__ import annotations

import pyarrow as pa

from schemas.model import ROW_HASH, TIMESTAMP, Column, Table

TEXT_MAP = pa.map_(pa.string(), pa.string())

POINT = pa.struct([("x", pa.float64()), ("y", pa.float64()), ("v", pa.int32())])

REGION = pa.struct(
    [
        ("region_id", pa.string()), ("kind", pa.string()), ("label", pa.string()), ("score", pa.float64()),
        ("x", pa.float64()), ("y", pa.float64()), ("w", pa.float64()), ("h", pa.float64()),
        ("angle", pa.float64()),
        ("points", pa.list_(POINT)), ("part_sizes", pa.list_(pa.int32())), ("closed", pa.bool_()),
        ("mask_encoding", pa.string()), ("mask_counts", pa.string()), ("mask_ref", pa.string()),
        ("mask_h", pa.int32()), ("mask_w", pa.int32()), ("area", pa.float64()),
        ("t_start", pa.float64()), ("t_end", pa.float64()),
        ("frame_start", pa.int64()), ("frame_end", pa.int64()), ("channel", pa.int32()),
        ("char_start", pa.int64()), ("char_end", pa.int64()),
        ("track_id", pa.string()), ("parent_region_id", pa.string()),
        ("iscrowd", pa.bool_()), ("attrs", TEXT_MAP),
    ]
)
"""One region of an answer.

Boxes are x, y, w, h in continuous pixels of the stored image before EXIF rotation, origin at the top-left corner;
`angle` is in degrees clockwise about the centre; times are seconds; frames and characters count from 0, the end
excluded for characters and included for frames.
"""

VALUE_COLUMNS = {
    "label": "label",
    "labels": "labels",
    "number": "number",
    "bool": "number",
    "text": "text",
    "regions": "regions",
    "spans": "regions",
    "ranking": "ranking",
    "embedding": "value_ref",
    "none": None,
}
"""value_kind -> the column that holds the value; `regions` and `spans` also fill `labels`, for pruning."""

ACTOR_KINDS = ("human", "model", "rule", "consensus", "import", "pool")

OPINIONS = Table(
    name="silver.opinions",
    doc="One answer event: an actor answered a question about a subject. Append-only; a correction is a row.",
    columns=(
        Column("opinion_id", pa.string(), "Content id (32 hex): of the source's own id and version, else of "
               "actor, question, subject, slot, event time, value and place among equal rows; never of the batch."),
        Column("op", pa.string(), "assert, retract (takes target_opinion_id back) or abstain."),
        Column("actor_id", pa.string(), "Who answered; see silver.actors."),
        Column("question_id", pa.string(), "What was asked; see silver.questions."),
        Column("question_version", pa.int32(), "Version of the question, counted from 1."),
        Column("subject_id", pa.string(), "The entity that the answer is about."),
        Column("subject_kind", pa.string(), "image, audio, video, text, pair ..."),
        Column("slot", pa.string(), "Tells apart several valid answers of one actor (label of a pool, seed of "
               "a model, round); '' when there is one."),
        Column("value_kind", pa.string(), "label, labels, number, text, bool, regions, spans, ranking, "
               "embedding or none: which column holds the value."),
        Column("label", pa.string(), "Label id.", null="another kind"),
        Column("labels", pa.list_(pa.string()), "Several labels; for regions and spans their sorted distinct "
               "labels.", null="another kind"),
        Column("number", pa.float64(), "Score or rating; of kind bool 0 or 1. Finite.", null="another kind"),
        Column("text", pa.string(), "Free text.", null="another kind"),
        Column("frame_w", pa.int32(), "Width of the frame the geometry refers to, px.", null="not stated"),
        Column("frame_h", pa.int32(), "Height of the frame the geometry refers to, px.", null="not stated"),
        Column("exif_orientation", pa.int32(), "EXIF orientation that the annotator saw applied, 1 to 8.",
               null="not stated"),
        Column("value_ref", pa.string(), "URI and hash of a large value (mask, embedding).", null="none"),
        Column("value_hash", pa.string(), "Content id (32 hex) of all that was said: equal for equal values."),
        Column("confidence", pa.float64(), "The actor's own confidence, 0 to 1.", null="not stated"),
        Column("votes", pa.int64(), "Equal anonymous answers behind this row, at least 1."),
        Column("event_time", TIMESTAMP, "When it was said.", null="nobody stated it: older than every time"),
        Column("event_time_source", pa.string(), "Where the event time is from: source, batch, file, unknown."),
        Column("ingest_time", TIMESTAMP, "When we learned it.", clock=True),
        Column("ingest_seq", pa.int64(), "Order of arrival: ordinal of the batch << 32 | row.", clock=True),
        Column("batch_id", pa.string(), "Import that brought it; provenance, not identity.", clock=True),
        Column("source_key", pa.string(), "Id in the source system.", null="the source has no ids"),
        Column("target_opinion_id", pa.string(), "The opinion that is taken back.", null="not a retraction"),
        Column("reason", pa.string(), "Why, in the actor's words.", null="not stated"),
        Column("supersedes", pa.list_(pa.string()), "Opinions that this one replaces.", null="replaces none"),
        Column("probs", pa.map_(pa.string(), pa.float64()), "Probability by label (prediction, consensus).",
               null="not stated"),
        Column("ranking", pa.list_(pa.string()), "Subjects or labels, best first.", null="another kind"),
        Column("regions", pa.list_(REGION), "Boxes, polygons, masks, intervals; []: nothing is there.",
               null="another kind"),
        Column("ext", TEXT_MAP, "Everything else; `flags`: rules of notes, as future (said over 24 h ahead); "
               "`taken_back`: the batch that a retraction takes back as a whole.",
               null="nothing else"),
        Column("raw_json", pa.string(), "The source's own record.", null="not kept"),
        ROW_HASH,
    ),
    key=("opinion_id",),
    checks={
        "op_known": "op IN ('assert', 'retract', 'abstain')",
        "votes_positive": "votes >= 1",
        "confidence_share": "confidence IS NULL OR (confidence >= 0 AND confidence <= 1)",
        "kind_known": "value_kind IN ('label', 'labels', 'number', 'text', 'bool', 'regions', 'spans', "
                      "'ranking', 'embedding', 'none')",
        # Spelled out: delta-rs drops the brackets of `(a IS NULL) = (b = c)` when it stores a constraint.
        "value_only_of_kind": "(label IS NULL OR value_kind = 'label') "
                              "AND (labels IS NULL OR value_kind IN ('labels', 'regions', 'spans')) "
                              "AND (number IS NULL OR value_kind IN ('number', 'bool')) "
                              "AND (text IS NULL OR value_kind = 'text') "
                              "AND (regions IS NULL OR value_kind IN ('regions', 'spans')) "
                              "AND (ranking IS NULL OR value_kind = 'ranking')",
        "value_present": "(label IS NOT NULL OR value_kind <> 'label') "
                         "AND (labels IS NOT NULL OR value_kind NOT IN ('labels', 'regions', 'spans')) "
                         "AND (number IS NOT NULL OR value_kind NOT IN ('number', 'bool')) "
                         "AND (text IS NOT NULL OR value_kind <> 'text') "
                         "AND (regions IS NOT NULL OR value_kind NOT IN ('regions', 'spans')) "
                         "AND (ranking IS NOT NULL OR value_kind <> 'ranking') "
                         "AND (value_ref IS NOT NULL OR value_kind <> 'embedding')",
        "assert_has_value": "op <> 'assert' OR value_kind <> 'none'",
        "retract_has_target": "(target_opinion_id IS NOT NULL AND op = 'retract') "
                              "OR (target_opinion_id IS NULL AND op <> 'retract')",
        "time_or_unknown": "(event_time IS NOT NULL AND event_time_source IN ('source', 'batch', 'file')) "
                           "OR (event_time IS NULL AND event_time_source = 'unknown')",
    },
)

ACTORS = Table(
    name="silver.actors",
    doc="One who can answer: a person, a model, a rule, a consensus, an import of unnamed origin, a pool.",
    columns=(
        Column("actor_id", pa.string(), "Stable id, `kind:name`, of a model `model:name@version`."),
        Column("kind", pa.string(), "human, model, rule, consensus, import or pool."),
        Column("name", pa.string(), "Name for people."),
        Column("model_uri", pa.string(), "Where the model is.", null="not a model, or not stated"),
        Column("model_version", pa.string(), "Version of the model.", null="not a model, or not stated"),
        Column("code_version", pa.string(), "Version of the code that answered.", null="not stated"),
        Column("params_json", pa.string(), "Canonical JSON of parameters.", null="none stated"),
        Column("pseudonym_of", pa.string(), "The actor behind a pseudonym.", null="not a pseudonym"),
        Column("ingest_time", TIMESTAMP, "When we first met the actor.", clock=True),
        ROW_HASH,
    ),
    key=("actor_id",),
    checks={"kind_known": "kind IN ('human', 'model', 'rule', 'consensus', 'import', 'pool')"},
)

QUESTIONS = Table(
    name="silver.questions",
    doc="One version of one question that actors answer.",
    columns=(
        Column("question_id", pa.string(), "Stable id."),
        Column("version", pa.int32(), "Counted from 1; a changed meaning is a new version."),
        Column("title", pa.string(), "The question in words."),
        Column("answer_kind", pa.string(), "value_kind of its answers."),
        Column("label_set_id", pa.string(), "Labels to choose from: silver.label_sets.", null="no labels"),
        Column("cardinality", pa.string(), "one or many answers per actor and subject."),
        Column("measurement", pa.string(), "nominal, ordinal, interval or ratio."),
        Column("geometry_kinds", pa.list_(pa.string()), "Kinds of regions allowed.", null="any"),
        Column("abstain_allowed", pa.bool_(), "Whether an actor may decline."),
        Column("instructions", pa.string(), "What annotators were told.", null="not stated"),
        Column("constraints_json", pa.string(), "Canonical JSON; {\"closed\": true}: no labels outside the set.",
               null="none"),
        Column("valid_from", TIMESTAMP, "Since when it is asked.", null="not stated"),
        Column("ingest_time", TIMESTAMP, "When we learned it.", clock=True),
        ROW_HASH,
    ),
    key=("question_id", "version"),
    checks={
        "version_positive": "version >= 1",
        "cardinality_known": "cardinality IN ('one', 'many')",
        "measurement_known": "measurement IN ('nominal', 'ordinal', 'interval', 'ratio')",
    },
)

LABEL_SETS = Table(
    name="silver.label_sets",
    doc="One version of one label of a label set (ontology).",
    columns=(
        Column("label_set_id", pa.string(), "The set."),
        Column("label_id", pa.string(), "Id that opinions use; never renamed."),
        Column("version", pa.int32(), "Version of this entry, counted from 1; the highest one holds."),
        Column("name", pa.string(), "Name for people."),
        Column("parent_id", pa.string(), "More general label.", null="top level"),
        Column("ordinal", pa.int32(), "Place in the set, counted from 0: the class number of exports."),
        Column("synonyms", pa.list_(pa.string()), "Other names that imports may use.", null="none"),
        Column("export_ids", TEXT_MAP, "Id of the label by export format, for example COCO.", null="none"),
        Column("status", pa.string(), "active, deprecated or merged."),
        Column("merged_into", pa.string(), "Label that took its place.", null="not merged"),
        Column("valid_from", TIMESTAMP, "Since when it holds.", null="not stated"),
        Column("ingest_time", TIMESTAMP, "When we learned it.", clock=True),
        ROW_HASH,
    ),
    key=("label_set_id", "label_id", "version"),
    checks={
        "version_positive": "version >= 1",
        "ordinal_not_negative": "ordinal >= 0",
        "status_known": "status IN ('active', 'deprecated', 'merged')",
    },
)

BATCHES = Table(
    name="silver.batches",
    doc="One import of opinions. rows_read = rows_new + rows_same + rows_rejected + rows_unmatched, always.",
    columns=(
        Column("batch_id", pa.string(), "Content id (32 hex) of source, content, options, valid time and how "
               "often this content had come before."),
        Column("source", pa.string(), "Name of the opinion source."),
        Column("system", pa.string(), "Instance of the system that the ids of the source belong to."),
        Column("content_id", pa.string(), "Content id (32 hex) of the files and options."),
        Column("content_sha256", pa.string(), "SHA-256 of the file; of a folder: of its names and hashes."),
        Column("format", pa.string(), "Format it was read as."),
        Column("options_json", pa.string(), "Canonical JSON of the options it was read with."),
        Column("importer_version", pa.int32(), "Version of the importer."),
        Column("valid_time", TIMESTAMP, "When its undated answers were said.", null="not stated"),
        Column("rows_read", pa.int64(), "Answers in the source."),
        Column("rows_new", pa.int64(), "Opinions added."),
        Column("rows_same", pa.int64(), "Answers that were known already."),
        Column("rows_rejected", pa.int64(), "Answers that did not pass; see silver.rejected."),
        Column("rows_unmatched", pa.int64(), "Answers about unknown subjects; see silver.parked_opinions."),
        Column("uri", pa.string(), "Where it was read.", null="handed over in memory", clock=True),
        Column("ordinal", pa.int64(), "Place among all imports of the lake, counted from 1.", clock=True),
        Column("ingest_time", TIMESTAMP, "When it was imported.", clock=True),
        ROW_HASH,
    ),
    key=("batch_id",),
    checks={"rows_balance": "rows_read = rows_new + rows_same + rows_rejected + rows_unmatched"},
)

PARKED_OPINIONS = Table(
    name="silver.parked_opinions",
    doc="One answer about a subject the lake did not know; a second row with status resolved tells its end.",
    columns=(
        Column("parked_id", pa.string(), "Content id (32 hex) of batch, answer and place among equal ones."),
        Column("status", pa.string(), "parked, resolved (now an opinion, or known already), rejected or taken_back "
               "(with its import)."),
        Column("batch_id", pa.string(), "Import that brought it."),
        Column("source", pa.string(), "Name of the opinion source."),
        Column("subject_key", pa.string(), "How the source names the subject."),
        Column("subject_rule_json", pa.string(), "Canonical JSON of the rule that looks for it."),
        Column("reason", pa.string(), "Why it waits: nothing, or several things, of that name."),
        Column("location", pa.string(), "File and line it stood in."),
        Column("answer_json", pa.string(), "Canonical JSON of the answer and what importing it needs."),
        Column("opinion_id", pa.string(), "The opinion it became.", null="not resolved"),
        Column("ordinal", pa.int64(), "Order of arrival, as opinions.ingest_seq.", clock=True),
        Column("ingest_time", TIMESTAMP, "When it was parked or resolved.", clock=True),
        ROW_HASH,
    ),
    key=("parked_id", "status"),
    checks={"status_known": "status IN ('parked', 'resolved', 'rejected', 'taken_back')"},
)
