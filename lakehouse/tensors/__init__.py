"""Arrays in SQL: one value type and NumPy's functions over it, the same in DuckDB and Spark; docs/tensors.md.

Each function is written once, in NumPy over stacked rows (`reductions`, `elements`, `shapes`, `vectors`, `boxes`,
`statistics`), and called by both engines with Arrow batches (`batches`).
"""
