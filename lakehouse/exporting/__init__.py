"""Exporting: what a query or a dataset selects, with its bytes, for programs that know no lake.

`rows` says what goes out, `names` what it is called, `lakehouse.target` keeps a place whole or unfinished,
`folders`, `shards` and `manifest` write; `step` is the verb.
"""
