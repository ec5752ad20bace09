"""The pose network and the pose embedding in torch, and their checkpoints."""
