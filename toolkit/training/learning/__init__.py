"""Training of the network: pretraining of the lifting head, losses, and training on pictures."""
