"""Parts of the report, one per file: each returns a piece of HTML from results."""
