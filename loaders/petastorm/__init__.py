"""Petastorm's API on the engine of these loaders: `import loaders.petastorm as petastorm`, and code for it works."""

from __future__ import annotations
