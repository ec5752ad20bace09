"""Files from outside, read within bounds, and results written whole or not at all."""
