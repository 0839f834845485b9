"""The command that mends a finding, as it is typed."""

from __future__ import annotations

import shlex

from lakehouse.audit.damage import Damage

BY_MEND = frozenset({"table", "count", "object", "linked", "published"})


def mending(damage: Damage, *, lake: str, copy: str, grace_days: float) -> str:
    """Return the command that mends a finding; "" if none does: what could not be looked at is looked at once the
    rest is mended, and what makes a folder a lake is put back by hand.

    Args:
        damage: What was found.
        lake: Address of the lake.
        copy: Address of a copy of it; "" if none is known: then `mend` takes what the lake itself and its sources have.
        grace_days: How long what nobody needs stays, as it was looked for.
    """
    at = f"--lake {shlex.quote(lake)}"
    grace = f"--grace-days {grace_days:g}"
    if damage.kind in BY_MEND:
        given = f" --from {shlex.quote(copy)}" if copy else ""
        return f"petrel mend {at}{given} --only {shlex.quote(damage.what)}"
    if damage.kind == "orphan":
        return f"petrel maintain {at} --orphans {grace} --dry-run && petrel maintain {at} --orphans {grace}"
    if damage.kind == "leftover":
        return f"petrel maintain {at} --table {shlex.quote(damage.what)} {grace}"
    if damage.kind == "unrecorded":
        return f"petrel materialise {at} --dataset {shlex.quote(damage.what.rpartition('/')[2])}"
    return ""
