"""Training of the pose embedding."""
