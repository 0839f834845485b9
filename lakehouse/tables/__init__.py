"""Tables: where they are, which version, how they are made, and the one way to write."""
