"""Gold: dataset versions, their members, what was published from them and how models did on them."""

from __future__ import annotations

import pyarrow as pa

from schemas.model import ROW_HASH, TIMESTAMP, Column, Table

DATASETS = Table(
    name="gold.datasets",
    doc="One dataset version: a recipe followed over pinned table versions. Immutable.",
    columns=(
        Column("dataset_id", pa.string(), "Version id (32 hex) = hash of recipe, digests and contracts."),
        Column("name", pa.string(), "Name of the dataset, from the recipe."),
        Column("recipe_json", pa.string(), "Canonical JSON of the recipe, without what equals its default."),
        Column("digests_json", pa.string(), "Canonical JSON {table: [rows, low sum, high sum]} read."),
        Column("contracts_json", pa.string(), "Versions of the code contracts and extractors that it reads."),
        Column("classes_json", pa.string(), "JSON list of labels; the place of a label, from 0, is its class number: "
               "its ordinal in its label set.", null="the recipe asks no question"),
        Column("fields_json", pa.string(), "JSON list of [name, type] of the selection's own columns, in its order; "
               "types as loaders/FORMAT.md names them.", null="it has none beside entity_id"),
        Column("members", pa.int64(), "Number of members."),
        Column("excluded", pa.int64(), "Number of entities considered and left out, with a reason."),
        Column("splits_json", pa.string(), "Canonical JSON {split: members}."),
        Column("members_digest", pa.string(), "Digest of the member rows: rows-low-high, free of order."),
        Column("pins_json", pa.string(), "Where to read the inputs: {table: Delta version}; not content.",
               clock=True),
        Column("built_at", TIMESTAMP, "When it was built.", clock=True),
        Column("first_version", pa.int64(), "Version of this table that first held it: the order of first builds.",
               clock=True, commit=True),
        ROW_HASH,
    ),
    key=("dataset_id",),
    checks={"counts_not_negative": "members >= 0 AND excluded >= 0"},
)

DATASET_MEMBERS = Table(
    name="gold.dataset_members",
    doc="One entity in one dataset version: its split, stratum, rank, weight, label, and why it is in.",
    columns=(
        Column("dataset_id", pa.string(), "The dataset version."),
        Column("entity_id", pa.string(), "The entity."),
        Column("split", pa.string(), "train, val, test ..."),
        Column("group_id", pa.string(), "Leak group: members of one group are always in one split."),
        Column("stratum", pa.string(), "Cell of the joint strata, values joined by '|' (in one of several a '|' or "
               "'\\' has a '\\' before it); '' without strata."),
        Column("rank_in_stratum", pa.int64(), "Place in the seeded order of the cell, counted from 1."),
        Column("bucket", pa.int64(), "petrel_bucket(entity_id, seed): the seeded order, 0 to 2**52 - 1."),
        Column("weight", pa.float64(), "Sampling weight, 1 unless the recipe says otherwise."),
        Column("label", pa.string(), "Label by the recipe's policy.", null="the recipe asks no question"),
        Column("label_share", pa.float64(), "Share of votes for the label, 0 to 1.", null="no votes"),
        Column("label_votes", pa.map_(pa.string(), pa.int64()), "Raw votes by label: the soft label.",
               null="no votes"),
        Column("fields_json", pa.string(), "JSON {column: value} of the selection's own columns; times as text.",
               null="it has none beside entity_id"),
        Column("selected_because", pa.string(), "Rule that selected the row, for a person."),
        Column("answer_json", pa.string(), "Answer by the recipe's policy as JSON; see lakehouse.datasets.policies.",
               null="labels, or the recipe asks no question", late=True),
        ROW_HASH,
    ),
    key=("dataset_id", "entity_id"),
    checks={"weight_positive": "weight > 0", "rank_positive": "rank_in_stratum >= 1"},
)

DATASET_EXCLUSIONS = Table(
    name="gold.dataset_exclusions",
    doc="One entity that was considered for a dataset version and left out, with the reason.",
    columns=(
        Column("dataset_id", pa.string(), "The dataset version."),
        Column("entity_id", pa.string(), "The entity."),
        Column("reason", pa.string(), "no_label, below_quorum, tie, below_share, missing_stratum, over_quota ..."),
        Column("detail", pa.string(), "The numbers behind the reason, for a person."),
        ROW_HASH,
    ),
    key=("dataset_id", "entity_id"),
)

MATERIALISATIONS = Table(
    name="gold.materialisations",
    doc="One published folder of Parquet files made from a dataset version.",
    columns=(
        Column("materialisation_id", pa.string(), "Content id (32 hex) of dataset, layout and content."),
        Column("dataset_id", pa.string(), "The dataset version."),
        Column("folder", pa.string(), "Folder relative to the lake."),
        Column("format_version", pa.int32(), "Version of the on-disk format (loaders/FORMAT.md)."),
        Column("rows", pa.int64(), "Rows published."),
        Column("files", pa.int64(), "Parquet files published."),
        Column("content_digest", pa.string(), "Digest of the published rows, free of order and layout."),
        Column("size_bytes", pa.int64(), "Bytes of the Parquet files."),
        Column("published_at", TIMESTAMP, "When it was recorded.", clock=True),
        ROW_HASH,
    ),
    key=("materialisation_id",),
)

EVALUATIONS = Table(
    name="gold.evaluations",
    doc="One metric of one model on one slice of one dataset version, with its verdict.",
    columns=(
        Column("evaluation_id", pa.string(), "Content id (32 hex) of the run of metrics this row is in."),
        Column("dataset_id", pa.string(), "The dataset version whose labels are the truth side."),
        Column("actor_id", pa.string(), "The actor whose predictions were scored: model:<name>@<version>."),
        Column("question_id", pa.string(), "The question that was answered."),
        Column("split", pa.string(), "Split that was scored."),
        Column("metric", pa.string(), "accuracy, precision, recall, f1, log_loss, coverage ..."),
        Column("slice", pa.string(), "all, class=<label>, or <dimension>=<value>."),
        Column("value", pa.float64(), "Value of the metric.", null="not defined on this slice"),
        Column("support", pa.int64(), "Members of the slice."),
        Column("operator", pa.string(), "Comparison of the gate: >= or <=.", null="no gate"),
        Column("threshold", pa.float64(), "Limit of the gate.", null="no gate"),
        Column("min_support", pa.int64(), "Members the gate needs to decide.", null="no gate"),
        Column("verdict", pa.string(), "pass, fail, inconclusive (too little support) or none (no gate)."),
        Column("evaluated_at", TIMESTAMP, "When it was computed.", clock=True),
        ROW_HASH,
    ),
    key=("evaluation_id", "metric", "slice"),
    checks={"verdict_known": "verdict IN ('pass', 'fail', 'inconclusive', 'none')"},
)

QUALITY_RESULTS = Table(
    name="gold.quality_results",
    doc="One expectation checked on one table version.",
    columns=(
        Column("result_id", pa.string(), "Content id (32 hex) of table, version digest and expectation."),
        Column("table_name", pa.string(), "The table that was checked."),
        Column("expectation", pa.string(), "Name of the expectation."),
        Column("passed", pa.bool_(), "Whether it held."),
        Column("observed", pa.string(), "What was found, for a person."),
        Column("failing_rows", pa.int64(), "Rows that broke it."),
        Column("checked_at", TIMESTAMP, "When it was checked.", clock=True),
        ROW_HASH,
    ),
    key=("result_id",),
)
