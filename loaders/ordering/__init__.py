"""Which samples are read, and in which order: pure functions, nothing is read here."""
