"""What the network learns from: motion capture, a 2D teacher's key points, rendered bodies."""
