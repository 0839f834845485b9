"""Tags: names of commits that stay."""

from __future__ import annotations

from datetime import UTC

from lakehouse.commits.naming import find_commit
from lakehouse.commits.refs import TAGS, keep_ref
from lakehouse.lake import Lake
from lakehouse.verification.places import place_at
from lakehouse.verification.tables import verify_table
from schemas.tables import BY_NAME


def tag_commit(lake: Lake, name: str, commit: str = "HEAD", *, message: str = "") -> dict[str, object]:
    """Name a commit; what it names is kept readable from now on.

    Args:
        lake: The lake.
        name: A letter, then up to 63 letters, digits and _, with single dots or dashes between them.
        commit: As in `find_commit`.
        message: Why, for people.

    Returns:
        commit (its id), message, author and made_at.

    Raises:
        ConfigError: If there is such a tag or branch, or no such commit.
        VersionUnavailableError: If files of the commit were removed by `maintain` before.
    """
    found = find_commit(lake.home, commit)
    for table, number in found.pins.items():
        verify_table(*place_at(lake.home, BY_NAME[table], number))
    record: dict[str, object] = {
        "commit": found.commit_id, "message": message, "author": lake.config.lake.author,
        "made_at": lake.clock().astimezone(UTC).isoformat(),
    }  # fmt: skip
    keep_ref(lake.home, TAGS, name, record)
    return record
