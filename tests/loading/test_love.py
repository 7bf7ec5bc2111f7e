import gzip

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.loading import LoveNumbers, read_love_numbers


@pytest.mark.realdata
def test_degree_one_of_prem_in_every_frame(prem):
    # Blewitt (2003); values for the table of Wang et al. (2012) recomputed by hand.
    expected = {
        "CE": (-0.285668, 0.103582, 0.0),
        "CM": (-1.285668, -0.896418, -1.0),
        "CF": (-0.259500, 0.129750, 0.026168),
    }
    assert prem.frame == "CE"
    for frame, numbers in expected.items():
        moved = prem.in_frame(frame)
        got = (moved.h[1], moved.l[1], moved.k[1])
        assert got == pytest.approx(numbers, abs=1e-6)


@pytest.mark.realdata
def test_frames_are_reached_in_any_order(prem):
    there = prem.in_frame("CM").in_frame("CF").in_frame("CE")
    np.testing.assert_allclose(there.h, prem.h, atol=1e-15)
    np.testing.assert_allclose(there.l, prem.l, atol=1e-15)


@pytest.mark.realdata
def test_only_degree_one_knows_the_frame(prem):
    moved = prem.in_frame("CM")
    for name in ("h", "l", "k"):
        changed = np.flatnonzero(getattr(moved, name) != getattr(prem, name))
        assert changed.tolist() == [1]


@pytest.mark.realdata
def test_the_net_translation_of_the_surface_is_none_in_the_centre_of_figure(prem):
    figure = prem.in_frame("CF")
    # The mean over the sphere of a degree-1 displacement is (h + 2 l) / 3 of it.
    assert figure.h[1] + 2 * figure.l[1] == pytest.approx(0.0, abs=1e-15)


@pytest.mark.realdata
def test_a_compressed_table_with_fortran_exponents_is_read(reference):
    assert reference.highest_degree == 40_000
    assert reference.frame == "CM"
    assert reference.h[0] == -0.216
    assert reference.k[2] == -0.3057703326


@pytest.mark.realdata
def test_a_table_with_its_columns_in_another_order_is_read(dataset):
    path = dataset("loading-references") / "love_numbers_HanWahr1995.txt"
    love = read_love_numbers(path)
    assert love.k[2] == -0.30252982142510
    assert love.l[2] == 2.3882296795977e-2
    assert love.h[0] == -0.13273


def write(path, text):
    path.write_text(text)
    return path


GOOD = "n h l k\n0 -.13 0 0\n1 -.28 .1 0\n2 -.99 .02 -.3\n"


def test_a_small_table_is_read_with_or_without_its_header(tmp_path):
    with_header = read_love_numbers(write(tmp_path / "a.txt", GOOD))
    without = read_love_numbers(write(tmp_path / "b.txt", GOOD.split("\n", 1)[1]))
    np.testing.assert_array_equal(with_header.h, without.h)
    packed = tmp_path / "c.txt.gz"
    packed.write_bytes(gzip.compress(GOOD.encode()))
    np.testing.assert_array_equal(read_love_numbers(packed).l, without.l)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no numbers here\n", "no rows of numbers"),
        (GOOD.replace("2 -.99", "3 -.99"), "go up by one"),
        (GOOD.replace("1 -.28 .1 0", "1 -.28 .1 -.3"), "k of degree 1"),
        (GOOD + "3 nan .01 -.2\n", "h of degree 3 is not a number"),
        ("0 -.13 0 0\n1 -.28 .1 0\n", "at least three"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_love_numbers(write(tmp_path / "bad.txt", text))


def test_a_frame_there_is_not_is_refused():
    numbers = [0.0, 0.0, 0.0]
    with pytest.raises(InputError, match="one of CE, CM, CF"):
        LoveNumbers(numbers, numbers, numbers, frame="CL", source="made up")
