"""Adaptation of the network to a site: several synchronized cameras teach it without labels."""
