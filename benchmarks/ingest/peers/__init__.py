"""Programs that run in environments of their own: nothing of ours is imported."""
