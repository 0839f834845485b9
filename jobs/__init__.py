"""Entry points: every step as a spark-submit job and as a `petrel` command."""
