"""A run as a service of the operating system."""
