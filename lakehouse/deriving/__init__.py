"""Deriving: entities that are made of others by transforms, each with its parent, operation and parameters."""
