"""Placing: which split every member goes to, and why no leak group stands in two."""
