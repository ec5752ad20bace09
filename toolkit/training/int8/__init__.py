"""Training for integers."""
