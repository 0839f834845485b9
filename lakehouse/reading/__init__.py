"""Reading a lake from a program: a table or view as Arrow, the bytes of one entity."""
