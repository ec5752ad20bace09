"""Measure bundles on this machine, one result file each, and show results on one page."""
