"""How the members of a version are spread over each dimension that its recipe reads, at the version's own pins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lakehouse.datasets.versions.reads import dimensions_read
from lakehouse.lake import Lake
from lakehouse.query import fetch, query
from lakehouse.tracing.versions import PinnedVersion
from schemas.tables import DIMENSIONS

BINS = 12
MOST_VALUES = 20
"""Values of a text that a card shows; the rest is counted."""
MOST_DIMENSIONS = 24

MEASURED = """
select d.dimension, d.unit, d.number, coalesce(d.text, cast(d.boolean as varchar), cast(d.instant as varchar)) as value,
    d.entity_id, d.extractor, d.extractor_version
from current_dimensions d join member_entities m on m.entity_id = d.entity_id and m.dataset_id = $id
where $all or d.dimension in $names
"""

KINDS = """
select dimension, min(unit) as unit, count(number) as numbers, count(value) as texts, min(number) as low,
    max(number) as high, min(extractor) as extractor, max(extractor_version) as extractor_version
from measured group by dimension order by dimension
"""

# No mean: sums of fractions depend on the order in which they are added, and a card is the same each time.
MEDIANS = """
select dimension, number from (
    select dimension, number, row_number() over (partition by dimension order by number, entity_id) as place,
        count(*) over (partition by dimension) as n
    from measured where number is not null
) ranked where place * 2 between n and n + 1
"""

HISTOGRAM = """
select r.dimension, case when k.high > k.low then least(cast(floor((r.number - k.low) / (k.high - k.low) * $bins)
    as bigint), $bins - 1) else 0 end as bin, count(*) as members
from measured r join kinds k on k.dimension = r.dimension where r.number is not null group by r.dimension, bin
order by r.dimension, bin
"""

VALUES = """
select dimension, value, count(*) as members from measured where value is not null and number is null
group by dimension, value order by dimension, members desc, value
"""


@dataclass(frozen=True, slots=True)
class Distribution:
    """One dimension over the members.

    Attributes:
        dimension: Its name.
        unit: Its unit; None: it has none.
        extractor: Who measured it, `name@version`, the newest version.
        members: Members that have a value.
        missing: Members that have none.
        low: Smallest number; None of text.
        median: Lower median of the numbers; None of text.
        high: Greatest number; None of text.
        bars: (from, members) of equal steps of numbers; of text (value, members), the most frequent first.
        rest: Of text: members with a value that is not among `bars`.
    """

    dimension: str
    unit: str | None
    extractor: str
    members: int
    missing: int
    low: float | None
    median: float | None
    high: float | None
    bars: tuple[tuple[str, int], ...]
    rest: int = 0


def distributions(lake: Lake, found: PinnedVersion) -> tuple[list[Distribution], int]:
    """Return the dimensions that the recipe reads, by name, and how many more there are."""
    read = dimensions_read(found.version.followed)
    if DIMENSIONS.name not in found.pins or not (read.all or read.names):
        return [], 0
    params: Mapping[str, object] = {"id": found.dataset_id, "all": read.all, "names": sorted(read.names) or [""]}
    pins = {DIMENSIONS.name: found.pins[DIMENSIONS.name]}
    measured = lake.engine.stage(query(lake, MEASURED, params=params, pins=pins))
    kinds = lake.engine.stage(query(lake, KINDS, inputs={"measured": measured}))
    rows = fetch(lake, "select * from kinds order by dimension", inputs={"kinds": kinds})
    one = {"measured": measured}
    medians = {row["dimension"]: row["number"] for row in fetch(lake, MEDIANS, inputs=one)}
    bins = _by_dimension(fetch(lake, HISTOGRAM, inputs={**one, "kinds": kinds}, params={"bins": BINS}))
    values = _by_dimension(fetch(lake, VALUES, inputs=one))
    made = [
        _of_numbers(row, medians[row["dimension"]], bins[row["dimension"]], found) if row["numbers"]
        else _of_texts(row, values.get(row["dimension"], []), found)
        for row in rows[:MOST_DIMENSIONS]
    ]  # fmt: skip
    return made, max(0, len(rows) - MOST_DIMENSIONS)


def _by_dimension(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["dimension"], []).append(row)
    return found


def _of_numbers(row: dict[str, Any], median: float, bins: list[dict[str, Any]], found: PinnedVersion) -> Distribution:
    low, high = row["low"], row["high"]
    counts = {each["bin"]: each["members"] for each in bins}
    num_bins = BINS if high > low else 1
    bars = tuple(zip(_edges(low, high, num_bins), (counts.get(place, 0) for place in range(num_bins)), strict=True))
    return _made(row, row["numbers"], found, low=low, median=median, high=high, bars=bars)


def _edges(low: float, high: float, num_bins: int) -> list[str]:
    """Return where each of equal steps begins, with as many digits as tell them apart."""
    edges = [low + place * ((high - low) / num_bins) for place in range(num_bins)]
    told = ([f"{edge:.{digits}g}" for edge in edges] for digits in (4, 6, 9, 13, 17))
    return next((each for each in told if len(set(each)) == num_bins), [f"step {place}" for place in range(num_bins)])


def _of_texts(row: dict[str, Any], values: list[dict[str, Any]], found: PinnedVersion) -> Distribution:
    bars = tuple((each["value"], each["members"]) for each in values[:MOST_VALUES])
    rest = sum(each["members"] for each in values[MOST_VALUES:])
    return _made(row, row["texts"], found, low=None, median=None, high=None, bars=bars, rest=rest)


def _made(row: dict[str, Any], members: int, found: PinnedVersion, **more: Any) -> Distribution:
    extractor = f"{row['extractor']}@{row['extractor_version']}"
    missing = found.version.members - members
    return Distribution(row["dimension"], row["unit"], extractor, members, missing, **more)
