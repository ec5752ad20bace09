"""What a deployment runs once on the board. Python 3.8 and numpy; one engine through `toolkit.runtime`."""
