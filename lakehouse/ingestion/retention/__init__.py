"""What of a source is worth keeping, and the ledger of what was not."""
