"""Training pictures composed of rendered people, photographs and places."""
