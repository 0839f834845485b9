"""Datasets: recipes over pinned table versions."""
