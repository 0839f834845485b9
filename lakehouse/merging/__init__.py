"""Comparing commits of a whole lake and putting branches together: rows that differ, conflicts, merge, revert."""
