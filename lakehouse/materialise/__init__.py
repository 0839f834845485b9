"""Materialising: a dataset version becomes a folder of Parquet that `loaders.make_reader` reads.

`step` is the verb; `samples` says what one sample is made of; `published` tells whether a folder is still what was
published. The package is called like its command: `lakehouse.materialise(lake, dataset)` is
`lakehouse.materialise.step.materialise`.
"""

from lakehouse.calling import called

called(__name__, "lakehouse.materialise.step")
