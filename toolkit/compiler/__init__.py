"""From a graph and a target to a bundle."""
