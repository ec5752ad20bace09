"""Lower a graph to opset 13, which every board reads: rewrites of newer operators, and the bodies of functions."""
