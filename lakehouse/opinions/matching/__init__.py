"""From the names of answers to the entities of the lake, and what becomes of each answer."""
