"""Measuring entities: extractors, their registry, and the function that both engines map over batches.

The package is called like its command: `lakehouse.dimensions(lake)` is `lakehouse.dimensions.step.dimensions`.
"""

from lakehouse.calling import called

called(__name__, "lakehouse.dimensions.step")
