"""Pictures of `petrel view` for the documents, of a lake whose files are all drawn here."""
