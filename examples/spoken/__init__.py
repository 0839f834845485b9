"""Spoken digits: from recordings to a model, split by speaker."""
