"""Any folder of Parquet files, row group by row group: where they lie, in which order they come, who makes them."""
