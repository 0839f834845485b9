"""Opinions: answers read from files and models, made into rows that are never changed."""
