"""The firmware of a robotic CO2 chamber, for MicroPython."""

__version__ = "1.0.0"
