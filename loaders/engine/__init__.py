"""The making of batches: from an order and row groups in memory to what the caller gets."""
