"""How fast a dataset is read on this machine."""
