"""Several readers as one, in exact shares."""
