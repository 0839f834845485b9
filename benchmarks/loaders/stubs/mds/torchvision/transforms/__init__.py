"""Names for `streaming.vision`."""
