"""Registered policies as rows of silver.actors, and which of them somebody means."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lakehouse.errors import ConfigError
from lakehouse.labels.policy import Policy, policy_from
from lakehouse.labels.presets import BUILT_IN
from lakehouse.names import nearest

PREFIX = "policy/"

HELD = """
select actor_id, name, model_version, params_json, ingest_time from silver.actors
where kind = 'rule' and substr(name, 1, 7) = 'policy/' and ($known_at is null or ingest_time <= $known_at)
order by ingest_time, actor_id
"""

SHORTEST_ID = 6


@dataclass(frozen=True, slots=True)
class Registered:
    """One registered policy.

    Attributes:
        policy: The policy, with its name.
        actor_id: The actor it is kept as.
        since: When we learned it.
    """

    policy: Policy
    actor_id: str
    since: datetime


def policy_of(rows: Sequence[Mapping[str, Any]], wanted: str, *, known_at: datetime | None = None) -> Policy:
    """`lakehouse.labels.policies.policy_named` over rows of `HELD`, those of every time."""
    held = [registered_of(row) for row in rows]
    by_name: dict[str, Policy] = {}
    for each in held:
        if known_at is None or each.since <= known_at:
            by_name[each.policy.name] = each.policy
        else:
            # Nobody had the name then: it means what it meant first.
            by_name.setdefault(each.policy.name, each.policy)
    if wanted in by_name:
        return by_name[wanted]
    if wanted in BUILT_IN:
        return BUILT_IN[wanted]
    # An id is content: it means the same at every time.
    ids = {each.policy.policy_id: each.policy for each in held}
    ids |= {each.policy_id: each for each in BUILT_IN.values()}
    found = [policy for policy_id, policy in ids.items() if len(wanted) >= SHORTEST_ID and policy_id.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    raise ConfigError(
        f"no policy `{wanted}`{nearest(wanted, [*by_name, *BUILT_IN])}"
        if not found else f"{len(found)} policies have an id that begins with {wanted}"
    )


def registered_of(row: Mapping[str, Any]) -> Registered:
    """Return the policy that a row of `HELD` holds."""
    name = str(row["name"]).removeprefix(PREFIX)
    policy = policy_from(json.loads(row["params_json"]), where=str(row["actor_id"]), name=name)
    return Registered(policy, str(row["actor_id"]), row["ingest_time"])
