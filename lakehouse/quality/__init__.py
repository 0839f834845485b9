"""Quality: what tables and views are expected to hold, checked after each step, and what a failure stops.

The package is called like its command: `lakehouse.quality(lake, suites)` is `lakehouse.quality.step.quality`.
"""

from lakehouse.calling import called

called(__name__, "lakehouse.quality.step")
