"""Tables of SQLite and PostgreSQL as a source, read from where the last run ended."""
