"""The choice among measured bundles: measures, budgets, Pareto front, recommendation."""
