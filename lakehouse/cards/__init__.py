"""Cards of dataset versions, and the catalogue of all datasets: what is in them, for people, as pages and text."""
