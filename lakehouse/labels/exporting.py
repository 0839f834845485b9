"""Exporting what a policy believes, where `lakehouse.opinions.exporting` exports what actors said."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from lakehouse.engines import Relation
from lakehouse.errors import ConfigError
from lakehouse.labels.believed import labels
from lakehouse.labels.policies import policy_named
from lakehouse.labels.policy import Policy
from lakehouse.labels.sql import VALUES
from lakehouse.lake import Lake
from lakehouse.opinions.exporting.step import export_opinions as export_said
from lakehouse.query import query
from lakehouse.steps.receipts import Receipt
from schemas.tables import OPINIONS

UNSAID = (
    "slot", "value_ref", "confidence", "event_time", "source_key", "target_opinion_id", "reason", "supersedes", "probs",
    "ext", "raw_json",
)  # fmt: skip
"""Columns of the newest opinion behind a belief that say something of its actor alone."""


def export_opinions(
    lake: Lake,
    *,
    format: str,
    path: str | Path,
    question: str | None = None,
    actor: str | None = None,
    policy: str | Policy | None = None,
    source: str = "",
    known_at: datetime | None = None,
    valid_at: datetime | None = None,
    options: Mapping[str, object] | None = None,
    strict: bool = False,
) -> Receipt:
    """Write what is said about a question, or what a policy believes, as annotation files.

    Args:
        lake: The lake.
        format: A format that can be written.
        path: New folder or file, or one with these very files; or the URL of one.
        question: The question; None: all of them, where the format holds several.
        actor: Whose answers; None: everybody's, which formats that hold one answer about each subject refuse if there
            are several.
        policy: What goes out is what this policy, or the one of this name or id, believes; a subject about which it
            believes nothing is left out. Not with `actor`.
        source: Landed source whose files alone go out, under their names there; "": all, each under its first name.
        known_at: As we knew it then (time of import); None: now.
        valid_at: As had been said by then (time of the answer); None: all.
        options: Options of the writer.
        strict: Refuse what the format cannot hold in place of telling it.

    Returns:
        Receipt; see `lakehouse.opinions.exporting.step.export_opinions`. With a policy `details["actors"]` names it.

    Raises:
        ConfigError: As there; and if both an actor and a policy are named, or a policy and no question.
    """
    held = None
    if policy is not None:
        if actor is not None or question is None:
            raise ConfigError("a policy believes something about one question, whoever says it: name it, and no actor")
        for name, time in (("known_at", known_at), ("valid_at", valid_at)):
            if time is not None and time.tzinfo is None:
                raise ConfigError(f"{name} = {time} names no time zone")
        held = believed_opinions(lake, question, policy, known_at=known_at, valid_at=valid_at)
    return export_said(
        lake, format=format, path=path, question=question, actor=actor, source=source, known_at=known_at,
        valid_at=valid_at, options=options, strict=strict, held=held,
    )  # fmt: skip


def believed_opinions(
    lake: Lake, question: str, policy: str | Policy, *, known_at: datetime | None, valid_at: datetime | None
) -> Relation:
    """Return what a policy believes as rows of silver.opinions, said by `policy:NAME`; of nobody's time."""
    chosen = policy_named(lake, policy, known_at=known_at) if isinstance(policy, str) else policy
    found = lake.engine.stage(labels(lake, question, chosen, known_at=known_at, valid_at=valid_at))
    return lake.engine.stage(
        query(lake, _as_opinions(), inputs={"believed": found}, params={"actor": f"policy:{chosen.name}"})
    )


def _as_opinions() -> str:
    def of(name: str) -> str:
        if name == "actor_id":
            return "$actor as actor_id"
        if name in VALUES and name != "opinion_id":
            return f"b.{name}"
        if name == "slot":
            return "'' as slot"
        # Of the column's own type.
        return f"case when false then o.{name} end as {name}" if name in UNSAID else f"o.{name}"

    columns = ", ".join(map(of, OPINIONS.column_names))
    joined = "believed b join silver.opinions o on o.opinion_id = b.opinion_id"
    return f"select {columns} from {joined} where b.problem is null"
