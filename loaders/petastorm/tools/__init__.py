"""Commands over whole datasets."""
