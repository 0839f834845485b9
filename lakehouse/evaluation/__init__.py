"""Predictions beside reference answers: metrics on slices, and the gates over them."""
