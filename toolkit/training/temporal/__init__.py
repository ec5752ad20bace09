"""Training of the temporal stage: sequences, the error model of the network, losses and back-projection."""
