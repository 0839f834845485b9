"""Datasets: recipes over pinned table versions.

The way of a recipe, and its room: it is read (`recipes`), follows what it selects (`selecting`), what is heard about it
(`hearing`), what is alike (`likeness`), what one sample is (`sampling`), where it goes (`placing`) and who becomes a
member (`choosing`), and is a version for ever (`versions`). `policies` has one module a kind of answers. `following`
and `plan` put these together, `preview` tells what a build would give, and `build` writes it.
"""
