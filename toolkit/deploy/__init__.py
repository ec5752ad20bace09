"""Deploy bundles to boards over SSH."""
