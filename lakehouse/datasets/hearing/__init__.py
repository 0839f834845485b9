"""Hearing: whose answers to a recipe's question count, and what they come to for each entity."""
