"""Bytes into objects: what is held already, what is to do, and the workers that store it."""
