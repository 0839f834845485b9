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
        Column(
            "classes_json",
            pa.string(),
            "JSON list of labels; the place of a label, from 0, is its class number: its ordinal in its label set.",
            null="the recipe asks no question",
        ),
        Column(
            "fields_json",
            pa.string(),
            "JSON list of [name, type] of the selection's own columns, in its order; "
            "types as loaders/FORMAT.md names them.",
            null="it has none beside entity_id",
        ),
        Column(
            "cells_json",
            pa.string(),
            "JSON list of what each cell of the strata got: stratum, wanted (null: no "
            "limit), least, available, taken, borrowed (cell -> members that stand in), lent, short.",
            null="the recipe has no strata",
            late=True,
        ),
        Column("members", pa.int64(), "Number of members."),
        Column("excluded", pa.int64(), "Number of entities considered and left out, with a reason."),
        Column("splits_json", pa.string(), "Canonical JSON {split: members}."),
        Column("members_digest", pa.string(), "Digest of the member rows: rows-low-high, free of order."),
        Column("pins_json", pa.string(), "Where to read the inputs: {table: Delta version}; not content.", clock=True),
        Column("built_at", TIMESTAMP, "When it was built.", clock=True),
        Column(
            "first_version",
            pa.int64(),
            "Version of this table that first held it: the order of first builds.",
            clock=True,
            commit=True,
        ),
        Column(
            "built_by",
            pa.string(),
            "Who built it first: `lake.author` of the configuration.",
            null="nobody was stated",
            clock=True,
        ),
        ROW_HASH,
    ),
    key=("dataset_id",),
    checks={"counts_not_negative": "members >= 0 AND excluded >= 0"},
)

PARENT_IDS = Column(
    "parent_ids", pa.list_(pa.string()), "Entities that the sample is made of, in order.",
    null="it is an entity of the lake itself", late=True,
)  # fmt: skip

DERIVED = (
    PARENT_IDS,
    Column("operation", pa.string(), "What was done to them: crop.", null="nothing", late=True),
    Column("parameters_json", pa.string(), "Canonical JSON of its parameters; see lakehouse.derived.identity.",
           null="nothing was done", late=True),
)  # fmt: skip

DATASET_MEMBERS = Table(
    name="gold.dataset_members",
    doc="One entity in one dataset version: its split, stratum, rank, weight, label, and why it is in.",
    columns=(
        Column("dataset_id", pa.string(), "The dataset version."),
        Column("entity_id", pa.string(), "The entity; of a sample that is made of others (a crop) its id as a derived "
               "one: see lakehouse.derived.identity."),
        Column("split", pa.string(), "train, val, test ..."),
        Column("group_id", pa.string(), "Leak group: members of one group are always in one split."),
        Column(
            "stratum",
            pa.string(),
            "Cell of the joint strata, values joined by '|' (in one of several a '|' or "
            "'\\' has a '\\' before it); '' without strata.",
        ),
        Column("rank_in_stratum", pa.int64(), "Place in the seeded order of the cell, counted from 1."),
        Column("bucket", pa.int64(), "petrel_bucket(entity_id, seed): the seeded order, 0 to 2**52 - 1."),
        Column("weight", pa.float64(), "Sampling weight, 1 unless the recipe says otherwise."),
        Column("label", pa.string(), "Label by the recipe's policy.", null="the recipe asks no question"),
        Column("label_share", pa.float64(), "Share of votes for the label, 0 to 1.", null="no votes"),
        Column("label_votes", pa.map_(pa.string(), pa.int64()), "Raw votes by label: the soft label.", null="no votes"),
        Column(
            "fields_json",
            pa.string(),
            "JSON {column: value} of the selection's own columns; times as text.",
            null="it has none beside entity_id",
        ),
        Column("selected_because", pa.string(), "Rule that selected the row, for a person."),
        Column(
            "answer_json",
            pa.string(),
            "Answer by the recipe's policy as JSON; see lakehouse.datasets.policies.",
            null="labels, or the recipe asks no question",
            late=True,
        ),
        *DERIVED,
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
        PARENT_IDS,
        ROW_HASH,
    ),
    key=("dataset_id", "entity_id"),
)

DATASET_TAGS = Table(
    name="gold.dataset_tags",
    doc="One name that was given to one dataset version. A tag that moves is a row more; the highest ordinal holds.",
    columns=(
        Column("name", pa.string(), "The dataset."),
        Column("tag", pa.string(), "The tag: letters, digits, `.`, `_` and `-`; no beginning of a version id."),
        Column("ordinal", pa.int64(), "Place among the rows of this tag of this dataset, counted from 1."),
        Column("dataset_id", pa.string(), "The version that it names."),
        Column("message", pa.string(), "Why, for people.", null="not stated"),
        Column(
            "tagged_by",
            pa.string(),
            "Who did: `lake.author` of the configuration.",
            null="nobody was stated",
            clock=True,
        ),
        Column("tagged_at", TIMESTAMP, "When.", clock=True),
        ROW_HASH,
    ),
    key=("name", "tag", "ordinal"),
    checks={"ordinal_positive": "ordinal >= 1"},
)

CHANGESETS = Table(
    name="gold.changesets",
    doc="One numbered change of what a virtual dataset holds: entities come in, or go out, or an earlier change is "
    "taken back. Append-only.",
    columns=(
        Column("name", pa.string(), "The virtual dataset."),
        Column("number", pa.int64(), "Place among its changes, counted from 1."),
        Column("op", pa.string(), "add, drop or revert."),
        Column("reverts", pa.int64(), "Number of the change that is taken back.", null="it takes none back"),
        Column(
            "entities_id",
            pa.string(),
            "Which rows of gold.changeset_entities it names: hash (32 hex) of their ids.",
            null="it takes one back",
        ),
        Column("message", pa.string(), "Why, for people.", null="not stated"),
        Column("tags", pa.list_(pa.string()), "Names that recipes choose by, sorted."),
        Column(
            "selection_json",
            pa.string(),
            'How the entities were named, as JSON: {"source": ...} or {"sql": ..., "params": ...}.',
            null="it takes one back",
        ),
        Column(
            "statistics_json",
            pa.string(),
            "JSON {entities, came, went, bytes, media_types, sources}: what it "
            "names, what it changed, and what that was.",
        ),
        Column(
            "author",
            pa.string(),
            "Who made it: `lake.author` of the configuration.",
            null="nobody was stated",
            clock=True,
        ),
        Column("made_at", TIMESTAMP, "When.", clock=True),
        ROW_HASH,
    ),
    key=("name", "number"),
    checks={
        "number_positive": "number >= 1",
        "op_known": "op IN ('add', 'drop', 'revert')",
        "reverts_or_names": "(op = 'revert' AND reverts IS NOT NULL AND entities_id IS NULL) OR "
        "(op <> 'revert' AND reverts IS NULL AND entities_id IS NOT NULL)",
    },
)

CHANGESET_ENTITIES = Table(
    name="gold.changeset_entities",
    doc="One entity that changes of virtual datasets name: a reference, no bytes.",
    columns=(
        Column("entities_id", pa.string(), "The set of entities: gold.changesets."),
        Column("entity_id", pa.string(), "The entity."),
        ROW_HASH,
    ),
    key=("entities_id", "entity_id"),
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
    doc="One expectation in one run of a quality suite, and what came of it. The run with the highest number holds.",
    columns=(
        Column("suite", pa.string(), "The suite."),
        Column(
            "run",
            pa.int64(),
            "Number of the run among those of the suite, from 1. A run with the outcome of the "
            "one before it adds nothing.",
        ),
        Column("place", pa.int64(), "Place of the expectation in the suite, counted from 1."),
        Column(
            "after",
            pa.string(),
            "The step that the suite is checked after; `retired`: it is checked no more, and stops nothing, for the "
            "reason in `allowed_because`.",
        ),
        Column("reads", pa.string(), "Table, view or query whose rows were checked."),
        Column("suite_hash", pa.string(), "Content id (32 hex) of the suite as it was."),
        Column("digests_json", pa.string(), "Canonical JSON {table: digest} of what was read."),
        Column("expectation", pa.string(), "Type of the expectation, as Great Expectations names it."),
        Column("arguments_json", pa.string(), "Canonical JSON of its arguments: column, limits ..."),
        Column("blocks", pa.bool_(), "Whether datasets may not be built or published while it does not hold."),
        Column("passed", pa.bool_(), "Whether it held."),
        Column("observed", pa.string(), "What was found, as JSON.", null="it is asked of each row"),
        Column("rows", pa.int64(), "Rows it was asked of.", null="it is asked of all rows together"),
        Column("failing_rows", pa.int64(), "Rows that broke it.", null="it is asked of all rows together"),
        Column("examples_json", pa.string(), "JSON list of some values that broke it.", null="none"),
        Column(
            "problem",
            pa.string(),
            "Why it could not be checked, which is as if it had not held.",
            null="it was checked",
        ),
        Column(
            "allowed_because",
            pa.string(),
            "Why a failure of this run stops nothing, or why the suite was retired, as somebody stated.",
            null="nobody allowed it",
        ),
        Column("pins_json", pa.string(), "Where to read what was checked: {table: Delta version}.", clock=True),
        Column(
            "checked_by",
            pa.string(),
            "Who ran it: `lake.author` of the configuration.",
            null="nobody was stated",
            clock=True,
        ),
        Column("checked_at", TIMESTAMP, "When.", clock=True),
        ROW_HASH,
    ),
    key=("suite", "run", "place"),
    checks={
        "counted_from_one": "run >= 1 AND place >= 1",
        "failing_among_rows": "failing_rows IS NULL OR (failing_rows >= 0 AND failing_rows <= rows)",
    },
)

SAVED_VIEWS = Table(
    name="gold.saved_views",
    doc="One text that one name stands for in SQL. A view that is saved anew, or dropped, is a row more; the highest "
    "ordinal holds.",
    columns=(
        Column("name", pa.string(), "The view: small letters, digits and `_`; no name of a table or view of Petrel's."),
        Column("ordinal", pa.int64(), "Place among the rows of this view, counted from 1."),
        Column("sql", pa.string(), "One SELECT, in DuckDB's dialect and Petrel's.", null="the view was dropped"),
        Column("doc", pa.string(), "What one row is, for people.", null="not stated"),
        Column(
            "saved_by",
            pa.string(),
            "Who did: `lake.author` of the configuration.",
            null="nobody was stated",
            clock=True,
        ),
        Column("saved_at", TIMESTAMP, "When.", clock=True),
        ROW_HASH,
    ),
    key=("name", "ordinal"),
    checks={"ordinal_positive": "ordinal >= 1"},
)

MARTS = Table(
    name="gold.marts",
    doc="One run of one mart: what it read, and how its rows came to be. The highest run of a name holds; the rows of "
    "a run count once it stands here.",
    columns=(
        Column("name", pa.string(), "Name of the mart; `petrel sql` has its rows as mart_<name>."),
        Column("run", pa.int64(), "Place among its runs, counted from 1."),
        Column("definition_id", pa.string(), "Content id (32 hex) of its keys, columns, texts: another one rebuilds."),
        Column("first_run", pa.int64(), "The run that built it wholly under this definition; rows before are history."),
        Column("doc", pa.string(), "What one row is, for people."),
        Column("keys", pa.list_(pa.string()), "Columns that identify a row, in order."),
        Column("columns_json", pa.string(), "JSON list of [name, kind] of all columns, keys first, in order."),
        Column("sql", pa.string(), "The query that gives all rows."),
        Column("how", pa.string(), "whole: all rows were computed; touched: those of keys that new rows touch."),
        Column("because", pa.string(), "Why all rows were computed, for people.", null="only touched keys were"),
        Column("keys_touched", pa.int64(), "Keys that were computed anew."),
        Column("rows_changed", pa.int64(), "Rows of gold.mart_rows that the run added."),
        Column("rows", pa.int64(), "Rows of the mart after it."),
        Column("digests_json", pa.string(), "Canonical JSON {table: digest} of what it read."),
        Column("pins_json", pa.string(), "Where that is: {table: Delta version}; not content.", clock=True),
        Column("ran_at", TIMESTAMP, "When.", clock=True),
        ROW_HASH,
    ),
    key=("name", "run"),
    checks={
        "run_positive": "run >= 1 AND first_run >= 1 AND first_run <= run",
        "how_known": "how IN ('whole', 'touched')",
        "whole_because": "(how = 'whole' AND because IS NOT NULL) OR (how = 'touched' AND because IS NULL)",
    },
)

MART_ROWS = Table(
    name="gold.mart_rows",
    doc="One row of a mart as a run made it. The newest row of a key, of runs in gold.marts since first_run, holds.",
    columns=(
        Column("name", pa.string(), "Name of the mart."),
        Column("run", pa.int64(), "The run; see gold.marts."),
        Column("key_json", pa.string(), "JSON list of the values of its keys, in order; dates and times as text."),
        Column("values_json", pa.string(), "JSON list of its other values, in order.", null="the row is gone"),
        ROW_HASH,
    ),
    key=("name", "run", "key_json"),
)
