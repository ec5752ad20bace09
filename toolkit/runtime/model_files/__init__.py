"""Models of bundles, read within bounds before an engine opens them: no control flow, no code, no huge tensors."""
