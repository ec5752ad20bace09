"""Shared parts of the verbs: arguments, checked inputs and outputs, and output on the terminal."""
