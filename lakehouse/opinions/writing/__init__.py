"""From settled answers to rows of the tables."""
