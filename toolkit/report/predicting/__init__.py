"""Time of a network on boards that were not measured, from their peak figures."""
