"""Learning the network."""
