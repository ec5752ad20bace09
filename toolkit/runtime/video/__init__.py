"""Picture sources, recordings, tracking and drawing."""
