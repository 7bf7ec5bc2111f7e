"""The room's table of contents."""

import subprocess
import sys

import pytest

import tilth.stats


def test_everything_listed_can_be_had():
    assert all(callable(getattr(tilth.stats, name)) for name in tilth.stats.__all__)
    assert dir(tilth.stats) == tilth.stats.__all__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'median_ish'"):
        _ = tilth.stats.median_ish


def test_entering_the_room_loads_no_scipy():
    code = "import sys, tilth.stats; print('scipy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
