"""Policies of a lake: registered once, found by name or id, with the time when we learned each.

A policy is kept as an actor of kind `rule` whose version is the policy's id: `rule:policy/strict@3f9c...`, with the
policy as its parameters. So it can be named wherever an actor can, and lakes that exist can hold it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lakehouse.errors import ConfigError
from lakehouse.labels.held import HELD, PREFIX, Registered, policy_of, registered_of
from lakehouse.labels.policy import Policy
from lakehouse.lake import Lake
from lakehouse.opinions.actors import Actor, actor_rows
from lakehouse.opinions.writing.write import import_lock
from lakehouse.query import fetch
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import step
from lakehouse.tables.insert import insert_rows
from schemas.tables import ACTORS


def register_policy(lake: Lake, policy: Policy) -> Receipt:
    """Register a policy under its name; what the name meant before stays known, by its id and by `known_at`.

    Doing it twice adds nothing; a name that means something else again needs the policy to differ from all that it
    meant before.

    Raises:
        ConfigError: If the policy has no name, or its name once meant this and means another policy now.
    """
    name = policy.name
    if not name or not name.replace("-", "_").replace("_", "a").isalnum() or not name.isascii():
        raise ConfigError(f"policy {name!r}: needs a name of a-z, 0-9, - and _")
    actor = Actor(kind="rule", name=f"{PREFIX}{name}", version=policy.policy_id, params=policy.canonical())
    with step(lake, "labels") as record:
        with import_lock(lake):
            held = [each for each in registered(lake) if each.policy.name == name]
            known = {each.policy.policy_id for each in held}
            if policy.policy_id in known and held[-1].policy.policy_id != policy.policy_id:
                raise ConfigError(
                    f"policy {name}: meant this before ({policy.policy_id}) and means {held[-1].policy.policy_id} "
                    "now; name it by its id, or register it under another name"
                )
            new = actor_rows(lake, [actor])
            if new:
                record.writes.append(insert_rows(lake, ACTORS, new, step="labels"))
        record.counts = {"registered": len(new), "same": 1 - len(new)}
        record.details = {"policy": name, "policy_id": policy.policy_id}
    return record.finished()


def registered(lake: Lake, *, known_at: datetime | None = None) -> Sequence[Registered]:
    """Return the registered policies, oldest first; of one name the last one holds."""
    return [registered_of(row) for row in fetch(lake, HELD, params={"known_at": known_at})]


def policy_named(lake: Lake, wanted: str, *, known_at: datetime | None = None) -> Policy:
    """Return a policy by its name, by its id or how that begins, or a built-in one.

    A name means what it meant at `known_at`; one that nobody had registered then, what it meant first.

    Raises:
        ConfigError: If there is none, or an id that several begin with; the message names the nearest.
    """
    return policy_of(fetch(lake, HELD, params={"known_at": None}), wanted, known_at=known_at)
