"""The demo from the first file to the verdict."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from examples.demo.contact_sheet import write_contact_sheet
from examples.demo.facts import Facts, contents_of, facts_of
from examples.demo.gallery import labelled_sections, region_sections
from examples.demo.learn import Learnt, learn, loader_speed, why_no_training
from examples.demo.plan import Plan
from examples.demo.report import Outcome, nothing_new, say_report
from examples.demo.steps import run_embedded, run_spark
from jobs.common import EXIT_ERROR, EXIT_GATE_FAILED
from jobs.output import say, say_receipt
from lakehouse.steps.receipts import Receipt

RUNNERS = {"embedded": run_embedded, "spark": run_spark}


def run_demo(plan: Plan, lakes: Mapping[str, str | Path], *, started: float) -> int:
    """Run everything, print the report and return the exit code.

    Args:
        plan: What the demo is about.
        lakes: Engine -> folder or URL of the lake it writes. The first one's goes on to the model and the report; the
            others then do the same steps, and must agree with it.
        started: `time.monotonic()` when the demo began.
    """
    before = {lake: contents_of(lake) for lake in lakes.values()}
    (first, lake), *others = lakes.items()
    built = {first: _take_steps(first, plan, lake)}
    dataset_id = built[first].details["dataset_id"]
    learnt = _learn(plan, lake, dataset_id)
    speed = loader_speed(f"{lake}/datasets/{plan.name}/{dataset_id}/train")
    with facts_of(lake) as facts:
        after = {lake: facts.contents()}
        sheet = _draw(plan, facts, dataset_id, learnt)
        outcome = Outcome(
            lake=lake,
            dataset_id=dataset_id,
            before=before[lake],
            after=after[lake],
            loader_images_per_s=speed,
            actor=learnt.card.actor if learnt else None,
            evaluation_id=learnt.evaluation_id if learnt else None,
            seconds=time.monotonic() - started,
        )
        say_report(plan, outcome, facts)
    say(f"Contact sheet: {sheet}")
    for engine, other in others:
        built[engine] = _take_steps(engine, plan, other)
        after[other] = contents_of(other)
    agreed = say_agreement(built)
    if before == after:
        say(nothing_new(dataset_id, len(before)))
    if others:
        say(f"Wall time of all engines {time.monotonic() - started:.1f} s")
    if not agreed:
        return EXIT_ERROR
    return EXIT_GATE_FAILED if learnt is not None and learnt.verdict == "fail" else 0


def built_by(receipts: Sequence[Receipt]) -> Receipt:
    """Return the receipt of the (last) dataset build."""
    return [receipt for receipt in receipts if receipt.step == "build"][-1]


def say_agreement(built: dict[str, Receipt]) -> bool:
    """Say whether the engines built the same dataset, and return it; one engine agrees with itself."""
    if len(built) < 2:
        return True
    found = {engine: (each.details["dataset_id"], each.details["members_digest"]) for engine, each in built.items()}
    if len(set(found.values())) == 1:
        dataset_id, digest = next(iter(found.values()))
        say(f"\nThe engines agree: dataset {dataset_id}, members {digest}")
        return True
    for engine, (dataset_id, digest) in found.items():
        say(f"\nThe engines DISAGREE: {engine} has dataset {dataset_id}, members {digest}")
    return False


def _take_steps(engine: str, plan: Plan, lake: str | Path) -> Receipt:
    say(f"\n{engine} engine, lake {lake}")
    return built_by(RUNNERS[engine](plan, lake, say=_say))


def _learn(plan: Plan, lake: str | Path, dataset_id: str) -> Learnt | None:
    missing = why_no_training(plan)
    if missing is not None:
        say(f"\nLeft out training and evaluation: {missing}")
        return None
    say(f"\nLearning from the published dataset, lake {lake}")
    return learn(plan, lake, dataset_id, say=_say)


def _draw(plan: Plan, facts: Facts, dataset_id: str, learnt: Learnt | None) -> Path:
    if plan.question:
        actor = learnt.card.actor if learnt else None
        sections = labelled_sections(facts, dataset_id, question=plan.question, actor=actor)
    else:
        sections = region_sections(facts, dataset_id)
    title = f"{plan.name}, dataset version {dataset_id}"
    return write_contact_sheet(plan.home / "report" / "contact_sheet", title, sections)[1]


def _say(receipt: Receipt) -> None:
    say_receipt(receipt, as_json=False)
