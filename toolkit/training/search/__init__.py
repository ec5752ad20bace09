"""Search for thinner networks that share the weights of a trained one and keep within a board's budget."""
