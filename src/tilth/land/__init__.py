"""The land surface: a process model with gradients, and a fast emulator of any."""
