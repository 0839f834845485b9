"""What a served model saw, said and was told comes back as files and opinions."""
