"""What is on disk (FORMAT.md): fields, manifest, and how one Parquet file is written."""
