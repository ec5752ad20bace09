"""Building, caching and running TensorRT plans."""
