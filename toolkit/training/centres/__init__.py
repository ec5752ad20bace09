"""The second learning of centres: against pictures without people, with poses held."""
