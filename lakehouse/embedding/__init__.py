"""Embeddings: vectors that models give entities, and the entities that are nearest by them."""
