"""Measures of agreement: pure functions over arrays, one in each module."""
