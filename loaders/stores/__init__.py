"""Where files lie: local folders and object stores, with deadlines, and a cache on local disk."""
