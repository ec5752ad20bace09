"""From a run to a released checkpoint and its model card."""
