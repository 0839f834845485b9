"""Recipes: what a dataset is made of, as text that people write, check and review."""
