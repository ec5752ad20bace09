"""How good are the people a network finds? Metrics and protocols, each named as the field names it."""
