"""What measures entities, and which of it there are: the built-in extractors and those of installed packages."""
