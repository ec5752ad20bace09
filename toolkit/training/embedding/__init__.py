"""Learning the pose embedding."""
