"""Writing opinions as files of a label format: what is said now, or was at a time, by one actor or by all."""
