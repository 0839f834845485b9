"""Agreement: how far actors say the same, who differs, and which labels look wrong."""
