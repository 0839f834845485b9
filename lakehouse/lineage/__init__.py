"""OpenLineage: events that tell other programs which step read and wrote which tables."""
