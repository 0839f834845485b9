"""Datasets on request: a version id at once, the Parquet files when they are there, one build for all who ask."""
