"""Cost of networks on boards: counts of their operators, and predictions from them."""
