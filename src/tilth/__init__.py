"""An open land-surface observatory: raw signals into calibrated land quantities."""

from importlib.metadata import version as _version

__version__ = _version("tilth")

# Rooms are imported by name (`import tilth.chambers`), so that `import tilth`
# costs nothing: no array library is loaded before a room is entered.
