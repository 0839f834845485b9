"""Bringing files in: list, store, and make entities of them."""
