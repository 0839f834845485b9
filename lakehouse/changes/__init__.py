"""Virtual datasets: sets of entities that live as long as a task, as numbered changes that hold references alone.

A change adds entities, drops entities, or takes an earlier change back; recipes choose among the changes of a virtual
dataset by number and tag (`[changes]`). Nothing here knows recipes.
"""
