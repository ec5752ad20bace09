"""The network that finds people and their poses, and the pose embedding behind it, in torch."""
