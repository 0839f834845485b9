"""What labels are called, and what is believed: ontology, label policies, and the story of one thing."""
