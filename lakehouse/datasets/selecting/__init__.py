"""Selecting: who is considered, and who is left out with which reason."""
