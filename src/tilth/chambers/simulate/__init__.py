"""A simulated fleet whose truth is known."""
