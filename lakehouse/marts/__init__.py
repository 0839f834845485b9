"""Marts: aggregates for people, one SQL file each, kept up to date by computing only what new rows touch."""
