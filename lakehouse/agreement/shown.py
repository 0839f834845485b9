"""How much of what is many is shown; what is left out is counted."""

MOST_SHOWN = 100
"""Candidates for wrong labels, and labels with their votes."""

MOST_PAIRED = 30
"""Actors of whom every pair is compared: 435 pairs."""
