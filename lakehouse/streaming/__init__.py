"""The rows of a query as batches for training, their bytes decoded straight from the lake: nothing is published."""
