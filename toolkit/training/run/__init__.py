"""Training runs: resumable state, steps, settings, and several processes."""
