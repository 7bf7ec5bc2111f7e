"""Fits of the emulator to a land model: month by month, then jointly, then its doubt."""
