"""What of a region counts where two are compared: the same region in two files must have one form."""

from __future__ import annotations

from lakehouse.opinions.reading.answer import Region


def canonical_region(region: Region) -> dict[str, object]:
    """Return what a region states, without null fields of its points: some readers state them, others do not."""
    record = region.record()
    if region.points is not None:
        record["points"] = [
            {name: value for name, value in point.items() if value is not None} for point in region.points
        ]
    return record
