"""How commits hang together: what came before one, and what two of them have in common."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from lakehouse.commits.manifest import Commit, read_commit
from lakehouse.home import Home


def before(home: Home, commit: Commit, *, first_only: bool = False) -> Iterator[Commit]:
    """Yield a commit and all before it, newest first; with `first_only` its own line's alone."""
    waiting = [(-commit.ordinal, commit.commit_id)]
    seen = {commit.commit_id}
    while waiting:
        found = read_commit(home, heapq.heappop(waiting)[1])
        yield found
        for parent in found.parents[:1] if first_only else found.parents:
            if parent not in seen:
                seen.add(parent)
                heapq.heappush(waiting, (-read_commit(home, parent).ordinal, parent))


def common_ancestor(home: Home, one: Commit, other: Commit) -> Commit | None:
    """Return the newest commit that both come from, which may be one of them; None if they have nothing in common."""
    sides = {one.commit_id: 1}
    sides[other.commit_id] = sides.get(other.commit_id, 0) | 2
    waiting = [(-each.ordinal, each.commit_id) for each in (one, other)]
    heapq.heapify(waiting)
    done = set()
    while waiting:
        _, commit_id = heapq.heappop(waiting)
        if commit_id in done:
            continue
        done.add(commit_id)
        if sides[commit_id] == 3:
            return read_commit(home, commit_id)
        for parent in read_commit(home, commit_id).parents:
            sides[parent] = sides.get(parent, 0) | sides[commit_id]
            heapq.heappush(waiting, (-read_commit(home, parent).ordinal, parent))
    return None
