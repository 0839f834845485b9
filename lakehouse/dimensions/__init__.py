"""Measuring entities: extractors, their registry, and the function that both engines map over batches."""
