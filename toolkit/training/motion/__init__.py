"""Motion capture: reading, retargeting and augmenting poses."""
