"""SQL over the lake: one dialect for steps and views, DuckDB for people."""
