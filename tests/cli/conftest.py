"""Toy studies, registered for one test."""

import sys
import types

import pytest

from tilth.studies.registry import STUDIES, Study


@pytest.fixture
def register(monkeypatch):
    """Return a function that registers a toy study; the real ones are put aside."""
    for name in reversed(list(STUDIES)):  # so that they come back in their order
        monkeypatch.delitem(STUDIES, name)

    def add(name, run, title="A toy study"):
        module = types.ModuleType(f"toy_{name}")
        module.run = run
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(STUDIES, name, Study(name, title, f"toy_{name}:run"))

    return add
