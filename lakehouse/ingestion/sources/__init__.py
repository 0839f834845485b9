"""What a source says of itself and of its files, in whatever form they come."""
