"""The part of `itertools` the tests use."""


def pairwise(items):
    """Neighbours."""
    items = list(items)
    return [(items[i], items[i + 1]) for i in range(len(items) - 1)]
