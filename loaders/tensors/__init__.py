"""What tensors cannot hold: nulls and ragged columns, without torch."""
