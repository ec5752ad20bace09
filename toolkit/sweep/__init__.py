"""Many bundles at once: a plan of candidates, tasks that run in parallel, a store of results, and rows."""
