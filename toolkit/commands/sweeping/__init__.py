"""The work of `posec sweep`."""
