"""From files and rows of memory to answers: formats' parts, guesses, checks."""
