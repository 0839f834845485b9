"""Sections of a recipe: each its keys, what they mean, and the mistakes in them that need no lake to be seen."""
