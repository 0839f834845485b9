"""Reified objects: many opinions or positions -> one entity that stands for what they are about, with its members."""
