"""From heads to people."""
