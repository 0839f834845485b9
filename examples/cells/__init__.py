"""Blood cells: boxes from Pascal VOC to batches, a baseline whose predictions are opinions, and its mAP."""
