"""The errors Tilth raises: each names the value, the limit and the way out."""


class TilthError(Exception):
    """Base of every error that Tilth raises on purpose.

    The command line prints its text as one line and exits with code 2.
    """


class InputError(TilthError, ValueError):
    """A value, a variable or a file that a method cannot work with."""


class UnitsError(InputError):
    """Units that are absent, unknown or of the wrong dimension."""


class DatasetError(TilthError):
    """A registered dataset that cannot be had or is not what was registered."""


class MissingDependencyError(TilthError, ImportError):
    """An optional library is absent; the text names the extra that brings it."""


class KernelError(TilthError):
    """A per-block kernel failed; the text names it, its blocks and the reason."""
