"""What helps to test code that reads: a reader without a dataset."""
