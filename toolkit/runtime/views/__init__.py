"""People of several cameras in one frame of reference."""
