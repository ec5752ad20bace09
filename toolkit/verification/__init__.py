"""Compiled against float: drift, sensitivity of each layer, and the precision search."""
