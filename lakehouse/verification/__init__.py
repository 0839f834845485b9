"""Content is what the id says: every file of a table is compared with what the log and the record of its head say."""
