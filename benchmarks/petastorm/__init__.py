"""Petrel's `loaders.petastorm` beside the real Petastorm: the same lines of user code on the same files."""
