"""Versions: the id of a dataset version, its names and tags, and how it is found again."""
