"""Words that a set of annotations chooses among; the command's help needs them before anything is imported."""

from __future__ import annotations

MATCHES = ("auto", "path", "name", "stem", "sha256", "uri", "id")
"""How subjects are named; see `SubjectRule.match`."""

REPEATS = ("", "event", "duplicate", "votes")
"""What rows are that are equal in everything; see `OpinionSource.repeat`."""
