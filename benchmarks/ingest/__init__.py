"""What bringing files in costs, beside plain loops and other libraries."""
