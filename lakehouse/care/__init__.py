"""Keeping a lake healthy for years: fewer and larger files, what may be removed, and what pins it."""
