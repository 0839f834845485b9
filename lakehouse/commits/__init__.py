"""Commits of a whole lake: which versions its tables had together, who made them so, and names for that.

manifest.py says what a commit is, refs.py what points at commits, making.py how one is made, naming.py how people name
one, history.py how commits hang together. Nothing here reads a row.
"""
