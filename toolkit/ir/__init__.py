"""The intermediate representation: the graph, the target, the ranges."""
