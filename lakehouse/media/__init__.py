"""What media files are: their type, their header, and whether they can be decoded whole."""
