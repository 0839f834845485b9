"""Opinions: answers read from files and models, matched with entities, made into rows that are never changed.

`reading`, `matching` and `writing` follow one another; `formats` are what is read; questions, actors, views and the
verbs over whole imports stand here. The package is called like its command: `lakehouse.opinions(lake, source)` is
`lakehouse.opinions.step.opinions`.
"""

from lakehouse.calling import called

called(__name__, "lakehouse.opinions.step")
