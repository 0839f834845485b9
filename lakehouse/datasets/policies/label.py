"""Labels: votes for one label, counted."""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse.datasets.policies.kind import BY_CLASS, COVERAGE, AnswerKind, Measure, Reason
from lakehouse.datasets.policies.label_samples import label_samples
from lakehouse.datasets.policies.settings import Label
from lakehouse.views.opinions import MOST_VOTES, capped_votes, summed_votes

TALLY = f"""
with gathered as (
    select subject_id, petrel_said(label, votes) as said, {summed_votes("votes")} as votes
    from heard group by subject_id
), totalled as (
    select subject_id, votes, petrel_totals(said) as totals from gathered
)
select subject_id as entity_id,
    totals[1].k as label,
    {capped_votes("votes")} as all_votes,
    cast(-totals[1].v as double) / cast(votes as double) as label_share,
    petrel_leading(totals) as leaders,
    petrel_total_votes(totals, {MOST_VOTES}) as label_votes,
    cast(null as varchar) as answer_json,
    cast(null as varchar) as problem,
    cast(null as varchar) as problem_detail,
    totals[1].k as cell
from totalled
"""
"""One row per entity that anybody answered about: leading label, votes, share, number of leaders.

Votes are compared as exact sums; what is kept of them is at most 2**63 - 1."""

SAID = "select label, max(question_version) as version from heard group by label order by label"

NO_LABEL = Reason("no_label", "t.all_votes is null", "'nobody that the policy listens to answered'")

REASONS = (
    NO_LABEL,
    Reason("below_quorum", "t.all_votes < $quorum",
           "concat(cast(all_votes as varchar), ' votes, quorum ', cast($quorum as varchar))"),
    Reason("tie", "$no_ties and t.leaders > 1", "concat(cast(all_votes as varchar), ' votes, several labels lead')"),
    Reason("below_share", "t.label_share < $min_share",
           "concat('the leading label has less than the share asked for, of ', cast(all_votes as varchar), ' votes')"),
)  # fmt: skip
"""In the order in which they are given: the first that applies counts."""


def params(settings: Label) -> Mapping[str, object]:
    """Return what the reasons compare with."""
    return {
        "quorum": settings.quorum,
        "no_ties": settings.policy == "majority" and settings.ties == "exclude",
        "min_share": settings.min_share,
    }


def because(settings: Label, question: str) -> str:
    """Return why a member has its label."""
    return f"{settings.policy} label of `{question}`, quorum {settings.quorum}"


def refuse(_settings: Label) -> None:
    """Every setting has a meaning for labels."""
    return


LABEL = AnswerKind(
    value_kind="label",
    policies=("majority", "soft"),
    version=0,
    hears=("label", "votes"),
    tally=TALLY,
    decide=None,
    because=because,
    params=params,
    reasons=REASONS,
    refuse=refuse,
    classes=SAID,
    has_cell=True,
    one_label=True,
    samples=label_samples,
    measures=(Measure("accuracy"), COVERAGE, Measure("log_loss", is_share=False),
              Measure("brier", is_share=False), Measure("ece"), *BY_CLASS),
)
