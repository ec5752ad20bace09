"""Lower a graph to opset 13, which every board reads: rewrite newer operators, expand functions."""
