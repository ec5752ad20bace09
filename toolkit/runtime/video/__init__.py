"""Pictures in, people out: sources, cameras, recordings."""
