"""Likeness: near-duplicates, as clusters of what was measured."""
