"""Choosing: which of the considered become members, cell by cell, and with what weight."""
