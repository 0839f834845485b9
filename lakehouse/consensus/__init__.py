"""Consensus: one answer made of many, itself an opinion, with its inputs recorded.

`methods` are pure functions; `reading` finds what holds, `registry` names the methods, `step` records what they say.
The package is called like its command: `lakehouse.consensus(lake, question=..., method="majority")`.
"""

from lakehouse.calling import called

called(__name__, "lakehouse.consensus.command")
