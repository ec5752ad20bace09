"""Code that a deployment runs once on the board: golden check, drift, benchmark, result."""
