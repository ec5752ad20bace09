"""Motion capture: reading clips, retargeting them to a body and augmenting poses."""
