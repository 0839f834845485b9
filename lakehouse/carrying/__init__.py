"""Carrying: what was said about an entity, said again about what transforms made of it, by a stated rule."""
