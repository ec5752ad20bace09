"""From a checkpoint on disk to a Graph."""
