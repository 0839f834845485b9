"""What each page shows, as plain values; what can be looked at closer is a question in SQL, which the grid answers.

What only one page needs is imported by it: the first picture waits for none of that.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.query import fetch
from lakehouse.sql.columns import describe
from lakehouse.sql.held_rows import plain
from lakehouse.sql.literals import sql_literals
from lakehouse.sql.saving import saved_views
from lakehouse.sql.text import fill

Row = dict[str, Any]

REJECTED_ROWS = 2_000
DIFFERING = 1_000
"""Members of a difference that are listed one by one."""

COUNTS = """
select (select count(*) from silver.entities) as entities, (select count(*) from silver.opinions) as opinions,
    (select count(*) from silver.rejected) as rejected
"""

QUESTIONS = """
select question_id, title, answer_kind, label_set_id from silver.questions
qualify row_number() over (partition by question_id order by version desc) = 1 order by question_id
"""

MODELS = "select distinct model from silver.embeddings order by model"

LABELS = """
select label_set_id, label_id, name from label_names where status = 'active' and merged_into is null
order by label_set_id, ordinal, label_id
"""

# What people disagree about most stands first.
DISAGREEMENTS = """
select subject_id as entity_id, question_id, label as leading, share, votes, tied_with from labels
where rank = 1 and share < 1 order by share, subject_id, question_id
"""

EVALUATIONS = """
select evaluation_id, dataset_id, actor_id, question_id, max(evaluated_at) as evaluated_at,
    count(*) filter (where verdict = 'fail') as failed, count(*) filter (where verdict = 'pass') as passed
from gold.evaluations group by evaluation_id, dataset_id, actor_id, question_id
order by evaluated_at desc, evaluation_id
"""

METRICS = """
select split, metric, slice, value, support, operator, threshold, verdict from gold.evaluations
where evaluation_id = $id order by split, metric, slice
"""

# Of answers that are labels, by what holds now, as the page says; else of the members and answers that are scored:
# no variants, and of an actor who answered in several slots the newest.
PAIRS = """
select m.entity_id, m.split, m.label as truth, o.label as said, o.confidence
from gold.dataset_members m left join (
    select subject_id, label, confidence, row_number() over (
        partition by subject_id order by event_time desc nulls last, opinion_id desc
    ) as recency
    from current_opinions
    where actor_id = $actor and question_id = $question and op = 'assert' and value_kind = 'label'
) o on o.subject_id = m.entity_id and o.recency = 1
where m.dataset_id = $dataset and m.operation is distinct from 'variant'
"""

REJECTED = """
select rejected_id, step, rule, reason, source, location, subject, raw, rejected_at
from silver.rejected order by rejected_at desc, rejected_id limit $most
"""

REJECTED_BY_RULE = "select rule, count(*) as n from silver.rejected group by rule order by n desc, rule"


def about(lake: Lake) -> Row:
    """Return what every page needs: what there is to look at, by name; `saved` has the views of `petrel views`."""
    labels: dict[str, list[Row]] = {}
    for row in fetch(lake, LABELS):
        labels.setdefault(str(row["label_set_id"]), []).append({"id": row["label_id"], "name": row["name"]})
    saved = [row for row in saved_views(lake) if row["holds"]]
    questions = [dict(row) | {"labels": labels.get(str(row["label_set_id"]), [])} for row in fetch(lake, QUESTIONS)]
    return {
        "lake": str(lake.home), "counts": fetch(lake, COUNTS)[0], "questions": questions,
        "models": [each["model"] for each in fetch(lake, MODELS)],
        "datasets": [each["name"] for each in fetch(lake, "select distinct name from gold.datasets order by name")],
        "disagreements": DISAGREEMENTS.strip(), "words": sorted({*words(), *(str(row["name"]) for row in saved)}),
        "saved": [{"name": row["name"], "doc": row["doc"], "sql": f"select * from {row['name']}"} for row in saved],
    }


def entity_page(lake: Lake, entity_id: str) -> Row:
    """Return the story of one entity: `lakehouse.labels.story.Story` as plain values.

    Raises:
        ConfigError: If there is no such thing.
    """
    from lakehouse.labels.story import story_of

    story = story_of(lake, entity_id)
    return dict(plain(dataclasses.asdict(story)))


def datasets_page(lake: Lake) -> list[Row]:
    """Return the catalogue: a row for every dataset."""
    from lakehouse.cards.catalog import catalog

    return [dict(plain(row)) for row in catalog(lake)]


def dataset_page(lake: Lake, dataset: str) -> Row:
    """Return the card of a version, and the question that shows its members.

    Raises:
        ConfigError: If there is no such dataset.
    """
    from lakehouse.cards.facts import card_of

    card = card_of(lake, dataset)
    dataset_id = card.version.version.dataset_id
    members = f"select entity_id, split, label, stratum, weight from members where dataset_id = '{dataset_id}'"
    excluded = fetch(
        lake, "select reason, count(*) as entities from gold.dataset_exclusions where dataset_id = $id "
        "group by reason order by entities desc, reason", params={"id": dataset_id},
    )  # fmt: skip
    left_out = (
        f"select entity_id, reason, detail from gold.dataset_exclusions where dataset_id = '{dataset_id}'"
    )
    versions = fetch(
        lake, "select dataset_id, built_at, members, excluded from gold.datasets where name = $name "
        "order by built_at desc, dataset_id", params={"name": card.version.version.name},
    )  # fmt: skip
    return dict(plain(card.record())) | {
        "sql": members, "left_out": plain(excluded), "left_out_sql": left_out, "versions": plain(versions),
    }


def evaluations_page(lake: Lake) -> list[Row]:
    """Return a row for every evaluation, the newest first."""
    return [dict(plain(row)) for row in fetch(lake, EVALUATIONS)]


def evaluation_page(lake: Lake, evaluation_id: str) -> Row:
    """Return metrics and slices of an evaluation, and for answers that are labels who was taken for what.

    `confusion` has a row for each pair of label and answer (None: the model said nothing), with the question in SQL
    that shows exactly its samples. `curves` are those of `curves_of`, by split.

    Raises:
        ConfigError: If there is no such evaluation.
    """
    from lakehouse.viewing.curves import curves_of

    found = next((row for row in fetch(lake, EVALUATIONS) if row["evaluation_id"] == evaluation_id), None)
    if found is None:
        raise ConfigError(f"no evaluation `{evaluation_id}` in this lake")
    asked = {"actor": found["actor_id"], "question": found["question_id"], "dataset": found["dataset_id"]}
    metrics = fetch(lake, METRICS, params={"id": evaluation_id})
    splits = sorted({str(row["split"]) for row in metrics})
    pairs = _filled(PAIRS, asked)
    scored = sql_literals({"splits": splits})["splits"]
    within = f"select * from ({pairs}) where split in {scored} and truth is not null"
    text = f"select truth, said, count(*) as members from ({within}) group by truth, said order by truth, said"
    cells = fetch(lake, text)
    confusion = [dict(row) | {"sql": f"select * from ({within}) where {_is('truth', row)} and {_is('said', row)} "
                                     "order by confidence desc"} for row in cells]  # fmt: skip
    worst = f"select * from ({within}) where said is distinct from truth order by confidence desc"
    run = {name: str(found[name]) for name in ("dataset_id", "actor_id", "question_id")}
    return {
        **plain(found), "curves": {split: curves_of(lake, run | {"split": split}) for split in splits},
        "metrics": plain(metrics), "confusion": plain(confusion),
        "worst_sql": worst if confusion else "",
    }


def disagreements_page(lake: Lake, question: str) -> Row:
    """Return `lakehouse.viewing.disputes.disputes_page`."""
    from lakehouse.viewing.disputes import disputes_page

    return disputes_page(lake, question)


def diff_page(lake: Lake, old: str, new: str) -> Row:
    """Return what differs between two versions, and the first members that do.

    Raises:
        ConfigError: If there is no such version.
    """
    from lakehouse.comparing.diff import diff_datasets

    found = diff_datasets(lake, old, new)
    return {
        "old": plain(dict(found.old)), "new": plain(dict(found.new)), "counts": dict(found.counts),
        "parts": [[name, plain(rows)] for name, rows in found.parts()],
        "members": plain(found.members.slice(0, DIFFERING).to_pylist()),
        "more": max(0, found.members.num_rows - DIFFERING),
    }


def rejected_page(lake: Lake) -> Row:
    """Return what did not pass: `rows`, the newest first, at most `REJECTED_ROWS`; `rules`, how many of all by rule."""
    rows = fetch(lake, REJECTED, params={"most": REJECTED_ROWS})
    rules = {str(row["rule"]): row["n"] for row in fetch(lake, REJECTED_BY_RULE)}
    return {"rows": [dict(plain(row | {"raw": _begin(row["raw"])})) for row in rows], "rules": rules}


def quality_page(lake: Lake) -> list[Row]:
    """Return the newest results of every suite, failures first."""
    from lakehouse.quality.verdicts import failures_of, last_runs

    rows = last_runs(lake)
    failed = {id(row) for row in failures_of(rows)}
    return [dict(plain(dict(row))) | {"is_failure": id(row) in failed}
            for row in sorted(rows, key=lambda row: id(row) not in failed)]  # fmt: skip


@functools.cache
def words() -> list[str]:
    """Return what a question in SQL may name: views, tables and their columns; the same in every lake."""
    found = describe()
    return sorted({each.name for each in found} | {column.name for each in found for column in each.columns})


def _begin(raw: object) -> str | None:
    if raw is None:
        return None
    text = raw.decode(errors="replace") if isinstance(raw, bytes) else str(raw)
    return text if len(text) <= 2_000 else f"{text[:2_000]}…"


def _is(column: str, row: Row) -> str:
    if row[column] is None:
        return f"{column} is null"
    return f"{column} = {sql_literals({'v': row[column]})['v']}"


def _filled(text: str, values: dict[str, object]) -> str:
    return fill(text, sql_literals(values))
