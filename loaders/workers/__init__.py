"""Threads and processes that are watched and leave nothing behind."""
