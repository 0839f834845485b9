"""What people and models disagree about, question by question, the most divided first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from lakehouse.agreement.likeness import matched
from lakehouse.agreement.measures.matched import Matched
from lakehouse.consensus.reading import asked_of
from lakehouse.errors import RejectedInputError
from lakehouse.lake import Lake
from lakehouse.query import fetch
from lakehouse.sql.literals import sql_literals
from lakehouse.sql.text import fill

Row = dict[str, Any]

MOST_COMPARED = 2_000
"""Subjects of one question whose regions are compared; of more the newest answered ones."""
MOST_ACTORS = 12
"""Answers about one subject that are compared with each other."""

LABELLED = """
with said as (select * from labels where question_id = $question),
counted as (
    select subject_id, map(list(label order by votes desc, label), list(votes order by votes desc, label)) as votes
    from said group by subject_id
)
select s.subject_id as entity_id, s.label as leading, s.share, c.votes, s.tied_with
from said s join counted c on c.subject_id = s.subject_id
where s.rank = 1 and s.share < 1 order by s.share, s.subject_id
"""

COUNTS = "select question_id, count(*) as subjects from labels where rank = 1 and share < 1 group by question_id"

# What several actors drew, each whole answer.
DRAWN = """
select question_id, count(*) as subjects from (
    select question_id, subject_id from current_opinions
    where op = 'assert' and value_kind in ('regions', 'spans') group by question_id, subject_id
    having count(distinct actor_id) > 1
) group by question_id
"""

REGIONS = """
with among as (
    select subject_id, max(ingest_time) as newest from current_opinions
    where op = 'assert' and value_kind in ('regions', 'spans') and question_id = $question
    group by subject_id having count(distinct actor_id) > 1 order by newest desc, subject_id limit $most
)
select o.subject_id, o.actor_id, o.regions, o.frame_w, o.frame_h, o.question_id from current_opinions o
join among a on a.subject_id = o.subject_id
where o.op = 'assert' and o.value_kind in ('regions', 'spans') and o.question_id = $question
order by o.subject_id, o.actor_id, o.slot, o.opinion_id
"""

TITLES = """
select question_id, title from silver.questions
qualify row_number() over (partition by question_id order by version desc) = 1
"""


def disputes_page(lake: Lake, question: str) -> Row:
    """Return the questions that actors differ about, and for one of them what they differ about.

    Args:
        lake: The lake.
        question: Its id; "": the first one.

    Returns:
        `questions`: `question_id`, `title`, `kind` (label or regions) and `subjects`; `question`, the one that is
        told; of labels `sql`, the question that the grid shows, the least share of the leading answer first; of
        regions `rows`: `entity_id`, `agreed` (mean F1 over the pairs of actors, at an overlap of 0.5; two who drew
        nothing agree), `votes` (how many each drew), the least agreed first; `notes`: what was not compared.
    """
    titles = {row["question_id"]: row["title"] for row in fetch(lake, TITLES)}
    found = [
        {"question_id": str(row["question_id"]), "title": titles.get(row["question_id"]) or row["question_id"],
         "kind": kind, "subjects": int(row["subjects"])}
        for kind, text in (("label", COUNTS), ("regions", DRAWN)) for row in fetch(lake, text)
    ]  # fmt: skip
    found.sort(key=lambda each: (each["kind"], -each["subjects"], each["question_id"]))
    told = next(
        (each for each in found if each["question_id"] == question), found[0] if found and not question else None
    )
    page: Row = {"questions": found, "question": question if told is None else told["question_id"], "notes": []}
    if told is None:
        return page | {"rows": []}
    if told["kind"] == "label":
        return page | {"sql": fill(LABELLED, sql_literals({"question": told["question_id"]})).strip()}
    rows, notes = _compared(lake, told["question_id"])
    left = told["subjects"] - MOST_COMPARED
    if left > 0:
        notes.append(f"{left:,} subjects whose answers are older are not compared")
    return page | {"rows": rows, "notes": notes}


def _compared(lake: Lake, question: str) -> tuple[list[Row], list[str]]:
    constraints = asked_of(lake, question).constraints
    by_subject: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in fetch(lake, REGIONS, params={"question": question, "most": MOST_COMPARED}):
        by_subject[str(row["subject_id"])].append(row)
    rows, problems = [], 0
    for subject, answers in by_subject.items():
        shares = []
        for place, one in enumerate(answers[:MOST_ACTORS]):
            for other in answers[place + 1 : MOST_ACTORS]:
                if one["actor_id"] == other["actor_id"]:
                    continue
                try:
                    pair: Matched = matched(one, other, constraints=constraints)
                except RejectedInputError:
                    problems += 1
                    continue
                shares.append(1.0 if pair.f1 is None else pair.f1)
        if shares:
            agreed = sum(shares) / len(shares)
            drawn = [[str(each["actor_id"]), len(each["regions"] or ())] for each in answers]
            rows.append({"entity_id": subject, "agreed": round(agreed, 4), "votes": drawn})
    rows.sort(key=lambda each: (each["agreed"], each["entity_id"]))
    return rows, [f"{problems:,} pairs of answers cannot be compared"] if problems else []
