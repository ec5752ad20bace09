"""Other pose estimators on the pictures of posec's evaluation, by the same rule."""
