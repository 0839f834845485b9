"""Where a sample comes from, and which datasets rest on a source, an actor, a licence, an extractor or an entity."""
