"""Code that a deployment runs once on the board: golden check, drift, benchmark, result. Valid Python 3.8."""
