"""What every step does: compare what it reads, write its tables, balance its counts, keep a receipt."""
