"""What the demo says at the end: one screen of numbers, asked from the lake and not from memory."""

from __future__ import annotations

import json
import resource
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from examples.demo.facts import Contents, Facts
from examples.demo.plan import Plan
from jobs.output import say, say_table

REJECTED = """
select step, rule, count(*) as inputs, min(reason) as for_example
from silver.rejected group by step, rule order by step, rule
"""

DATASET = "select name, members, excluded, splits_json from gold.datasets where dataset_id = $id"

EXCLUDED = """
select reason, count(*) as n from gold.dataset_exclusions where dataset_id = $id group by reason order by reason
"""

ACCURACY = """
select metric, slice, value, support as images from gold.evaluations
where evaluation_id = $id and metric = 'accuracy' order by slice
"""

WORST_CLASSES = """
select metric, slice, value, support as images from gold.evaluations
where evaluation_id = $id and metric = 'recall' and value is not null order by value, slice limit $most
"""
MOST_CLASSES = 10

VERDICTS = """
select metric, operator, threshold, slice, verdict, value, support from gold.evaluations
where evaluation_id = $id and verdict <> 'none' order by metric, slice
"""

AGREEMENT = (
    "select o.actor_id, cast(sum(o.votes) as bigint) as votes, "
    "round(sum(o.votes) filter (where o.label = m.label) / sum(o.votes), 4) as agree "
    "from current_opinions o join members m on m.entity_id = o.subject_id "
    "where m.dataset_id = '{id}' and o.value_kind = 'label' group by o.actor_id order by agree desc"
)
DISPUTES = (
    "select entity_id, label, label_share, label_votes from members "
    "where dataset_id = '{id}' order by label_share, entity_id limit 5"
)
SLICES = (
    "select metric, slice, round(value, 4) as value, support, verdict from gold.evaluations "
    "where dataset_id = '{id}' and metric in ('accuracy', 'recall') order by value, metric, slice limit 10"
)
REGIONS = (
    "with r as (select unnest(regions) as region from current_opinions where value_kind = 'regions') "
    "select region.label, count(*) as boxes, min(region.area) as smallest from r group by 1 order by 1"
)
BRIGHTEST = (
    "select width, height, count(*) as images, round(avg(brightness), 3) as brightness "
    "from entities_wide group by width, height order by images desc limit 5"
)
REASONS = "select step, rule, count(*) as inputs from silver.rejected group by step, rule order by inputs desc"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the demo did.

    Attributes:
        lake: The lake it tells about.
        dataset_id: The dataset version.
        before: What the lake held when the demo began.
        after: What it holds now.
        loader_images_per_s: Images that the loader delivered, decoded, per second.
        actor: The model; None if none was trained.
        evaluation_id: Its evaluation; None without a model.
        seconds: Wall time, s.
    """

    lake: str | Path
    dataset_id: str
    before: Contents
    after: Contents
    loader_images_per_s: float
    actor: str | None
    evaluation_id: str | None
    seconds: float


def say_report(plan: Plan, outcome: Outcome, facts: Facts) -> None:
    """Print the report."""
    _say_rows(outcome)
    _say_rejected(facts)
    _say_dataset(outcome, facts)
    say(f"\nLoader: {outcome.loader_images_per_s:,.0f} images/s, read and decoded by this process")
    if outcome.evaluation_id is not None:
        _say_evaluation(outcome, facts)
    say("\nThree questions to ask:")
    for text in queries(plan, outcome.dataset_id):
        say(f"  petrel sql --lake {shlex.quote(str(outcome.lake))} {shell_text(text)}")
    say(f"\nWall time {outcome.seconds:.1f} s; peak memory {peak_memory_mb():,.0f} MB (largest process)")


def nothing_new(dataset_id: str, lakes: int) -> str:
    """Return the line that says a repetition changed nothing."""
    where = "every table" if lakes == 1 else f"every table of {lakes} lakes"
    return f"Nothing was new: 0 new rows in {where}, 0 objects written, the same dataset version {dataset_id}"


def queries(plan: Plan, dataset_id: str) -> tuple[str, str, str]:
    """Return three queries worth a try, ready for `petrel sql`."""
    texts = (AGREEMENT, DISPUTES, SLICES) if plan.question else (REGIONS, BRIGHTEST, REASONS)
    first, second, third = (text.format(id=dataset_id) for text in texts)
    return first, second, third


def shell_text(text: str) -> str:
    """Return a text as one word of a shell: in double quotes where nothing in it means something there."""
    return shlex.quote(text) if set(text) & set('"$`\\!') else f'"{text}"'


def peak_memory_mb() -> float:
    """Return the largest resident size that this process or one of its children ever had, MB."""
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    # Linux counts in KiB, macOS in bytes.
    return most / (1e6 if sys.platform == "darwin" else 1e6 / 1024)


def _say_rows(outcome: Outcome) -> None:
    say()
    rows = [
        (name, count, count - outcome.before.rows.get(name, 0)) for name, count in outcome.after.rows.items() if count
    ]
    rows.append(("objects", outcome.after.objects, outcome.after.objects - outcome.before.objects))
    say_table(["table", "rows", "new"], rows)


def _say_rejected(facts: Facts) -> None:
    rows = facts.ask(REJECTED)
    say(f"\nRejected: {sum(row['inputs'] for row in rows):,}")
    if rows:
        say_table(list(rows[0]), [list(row.values()) for row in rows])


def _say_dataset(outcome: Outcome, facts: Facts) -> None:
    row = facts.ask(DATASET, id=outcome.dataset_id)[0]
    excluded = facts.ask(EXCLUDED, id=outcome.dataset_id)
    splits = ", ".join(f"{split} {count:,}" for split, count in json.loads(row["splits_json"]).items())
    reasons = ", ".join(f"{each['reason']} {each['n']:,}" for each in excluded)
    out = f"; left out: {reasons}" if reasons else ""
    say(f"\nDataset {row['name']} version {outcome.dataset_id}: {row['members']:,} members ({splits}){out}")


def _say_evaluation(outcome: Outcome, facts: Facts) -> None:
    say(f"\nModel {outcome.actor} on the test split:")
    rows = facts.ask(ACCURACY, id=outcome.evaluation_id)
    rows += facts.ask(WORST_CLASSES, id=outcome.evaluation_id, most=MOST_CLASSES)
    say_table(list(rows[0]), [list(row.values()) for row in rows])
    for gate in facts.ask(VERDICTS, id=outcome.evaluation_id):
        where = "" if gate["slice"] == "all" else f" on {gate['slice']}"
        value = "not computed" if gate["value"] is None else f"{gate['value']:.4f} of {gate['support']:,} images"
        say(f"Gate {gate['metric']} {gate['operator']} {gate['threshold']:g}{where}: {gate['verdict']} ({value})")
