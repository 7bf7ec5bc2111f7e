"""Small things in flash: there, or as they were before, never torn."""

import pytest
from fakes_flash import FakeFlash, PowerCut
from tilth_chamber import keep

PATH = "/state/thing.json"


def test_what_was_kept_comes_back():
    fs = FakeFlash()
    assert keep.load(fs, PATH, 7) == 7
    for value in ({"a": [1, None, "x"]}, [], "5.10.A", 0):
        assert keep.save(fs, PATH, value)
        assert keep.load(fs, PATH, "nothing") == value


@pytest.mark.parametrize("torn", ["none", "prefix", "garbage"])
def test_a_power_cut_at_any_change_leaves_the_old_or_the_new(torn):
    for first in (False, True):
        k, cut = 1, True
        while cut:
            fs = FakeFlash(seed=k)
            fs.torn = torn
            if not first:
                keep.save(fs, PATH, "older")
                keep.save(fs, PATH, "old")
            fs.crash_at = fs.writes + k
            cut = False
            try:
                keep.save(fs, PATH, "new")
            except PowerCut:
                cut = True
            fs.power_cycle()
            found = keep.load(fs, PATH, None)
            assert found in ({None, "new"} if first else {"old", "new"})
            if not cut:
                assert found == "new"
            assert keep.save(fs, PATH, "next")
            assert keep.load(fs, PATH, None) == "next"
            k += 1
        assert k > 4


def test_any_flipped_bit_brings_back_the_one_before():
    fs = FakeFlash()
    keep.save(fs, PATH, {"n": 1})
    keep.save(fs, PATH, {"n": 2})
    clean = fs.read(PATH)
    for bit in range(8 * len(clean)):
        fs.put(PATH, clean)
        fs.flip(PATH, bit)
        assert keep.load(fs, PATH, None) in ({"n": 1}, {"n": 2})
    fs.put(PATH, clean)
    fs.bad.add(PATH)
    assert keep.load(fs, PATH, None) == {"n": 1}


@pytest.mark.parametrize("fault", ["read_only", "full"])
def test_a_flash_that_refuses_says_so_and_keeps_the_old_value(fault):
    fs = FakeFlash()
    keep.save(fs, PATH, "old")
    if fault == "full":
        fs.capacity = fs._used
    else:
        fs.read_only = True
    assert not keep.save(fs, PATH, "new" * 100)
    assert keep.load(fs, PATH, None) == "old"
