"""People over time: a causal network that corrects each tracked person from its last 27 frames."""
