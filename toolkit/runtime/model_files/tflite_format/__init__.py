"""TFLite files: their wire format, graph, and shapes."""
