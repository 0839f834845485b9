"""petrel mend: what is damaged gets its bytes back, from the lake itself, from where they came, or from a copy."""
