"""What can be built with Petrel, run from a clone: `python -m examples.demo`."""
