"""What is measured: limits and loaders, each with the settings that suit it best on each workload."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

ENVIRONMENT_OF = {
    "limit": "limits",
    "petrel": "project",
    "plain": "plain",
    "petastorm": "petastorm",
    "lancedb": "lancedb",
    "lance": "lancedb",
    "hf": "hf",
    "litdata": "litdata",
    "mds": "mds",
    "wds": "wds",
}
"""Environment of each peer; `project` is the one that the driver runs in."""

ENVIRONMENTS = tuple(dict.fromkeys(name for name in ENVIRONMENT_OF.values() if name != "project"))
PEERS = tuple(name for name in ENVIRONMENT_OF if name != "limit")

REFERENCE_LIMIT = {
    "photos256": "pipe w2",
    "tensors32": "tgather w2",
    "tensors224": "tgather w1",
    "tabular": "tgather w2",
}
"""The limit that `x limit` divides by."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the table.

    Attributes:
        workload: Its name.
        peer: Its module in `peers`, or `limit`.
        options: What `open_loader` gets; for a limit its name and workers. `layout="matrix"` stores a row of the table
            as one array of 20, not as 20 columns.
        not_run: Why it is not measured, "" if it is.
    """

    workload: str
    peer: str
    options: dict[str, Any] = field(hash=False)
    not_run: str = ""

    @property
    def name(self) -> str:
        """As in the table: `petastorm w2`, `tgather w1`, `petrel w2 pool=processes`."""
        rest = [f"{key}={value}" for key, value in self.options.items() if key not in ("workers", "limit")]
        workers = self.options.get("workers")
        words = [self.options.get("limit", self.peer), "default" if workers is None else f"w{workers}", *rest]
        return " ".join(words)


def _limit(workload: str, name: str, workers: int) -> Setting:
    return Setting(workload, "limit", {"limit": name, "workers": workers})


def _peer(workload: str, peer: str, workers: int | None, **options: Any) -> Setting:
    return Setting(workload, peer, {"workers": workers, **options})


SETTINGS = (
    _limit("photos256", "pipe", 2),
    _limit("photos256", "tpipe", 2),
    _limit("photos256", "c_full", 2),
    _peer("photos256", "petrel", None, decode="full"),
    _peer("photos256", "petrel", None, decode="crop"),
    _peer("photos256", "lancedb", 2),
    _peer("photos256", "hf", 2),
    _peer("photos256", "litdata", 2),
    _peer("photos256", "plain", 2),
    _peer("photos256", "wds", 2),
    _peer("photos256", "mds", 2),
    _peer("photos256", "petastorm", 0, codec="bytes"),
    _peer("photos256", "petastorm", 0, codec="image"),
    _limit("tensors32", "tgather", 2),
    _limit("tensors32", "tgather", 1),
    _limit("tensors32", "pq_none4", 1),
    _peer("tensors32", "petrel", None),
    _peer("tensors32", "plain", 0),
    _peer("tensors32", "lance", 0, style="iter"),
    _peer("tensors32", "lance", 0, style="take"),
    _peer("tensors32", "lancedb", 1),
    _peer("tensors32", "hf", 0),
    _peer("tensors32", "mds", 2),
    _peer("tensors32", "petastorm", 0),
    _peer("tensors32", "wds", 2),
    _peer("tensors32", "litdata", 2),
    _limit("tensors224", "tgather", 1),
    _limit("tensors224", "tgather", 2),
    _limit("tensors224", "pq_none32", 1),
    _peer("tensors224", "petrel", None),
    _peer("tensors224", "petrel", 2, pool="threads"),
    _peer("tensors224", "petrel", 2, pool="processes"),
    _peer("tensors224", "plain", 0),
    _peer("tensors224", "hf", 0),
    _peer("tensors224", "plain", 2),
    _peer("tensors224", "mds", 2),
    _peer("tensors224", "lancedb", 2),
    _peer("tensors224", "litdata", 2),
    _peer("tensors224", "wds", 2),
    _peer("tensors224", "petastorm", 0),
    _limit("tabular", "tgather", 2),
    _limit("tabular", "tgather", 1),
    _limit("tabular", "pq_none32", 2),
    _peer("tabular", "petrel", None),
    _peer("tabular", "petrel", None, layout="matrix"),
    _peer("tabular", "lance", 0, style="iter"),
    _peer("tabular", "lance", 0, style="iter", layout="matrix"),
    _peer("tabular", "plain", 0),
    _peer("tabular", "petastorm", 2),
    _peer("tabular", "hf", 0),
    _peer("tabular", "hf", 0, layout="matrix"),
    _peer("tabular", "lancedb", 2, layout="matrix"),
    _peer("tabular", "mds", 2),
    Setting("tabular", "wds", {"workers": 2}, not_run="a tar member for each row is 25 times the data, 3.9 GB"),
    _peer("tabular", "litdata", 2),
)


def chosen(workloads: Collection[str], peers: Collection[str]) -> list[Setting]:
    """Return the settings of these workloads and peers; limits are always among them."""
    return [each for each in SETTINGS if each.workload in workloads and each.peer in {"limit", *peers}]
