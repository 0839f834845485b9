"""The library: lake, tables, engines and the steps from landed files to datasets."""
