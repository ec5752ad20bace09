"""Measure a bundle on this machine, keep the result in one file, and show many results on one page."""
