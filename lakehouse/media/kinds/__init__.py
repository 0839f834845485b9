"""Kinds of media: what a lake can look into. `kind` says what one is, `registry` which there are, one file is one kind.

A package adds one with an entry point of group `petrel.media_kinds` that names a `MediaKind`:

    [project.entry-points."petrel.media_kinds"]
    mesh = "my_package.mesh:MESH"

Files of no kind are entities too: their bytes, with media type `application/octet-stream`.
"""
