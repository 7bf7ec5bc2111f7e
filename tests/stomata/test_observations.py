"""Leaf observations: units, what follows from what, and reasons not to use rows."""

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.stomata.observations import flag_counts, leaf_observations, usable


def table(n=6, **change):
    rng = np.random.default_rng(0)
    given = {
        "conductance": (rng.uniform(0.1, 0.3, n), "mol m-2 s-1"),
        "assimilation": (rng.uniform(5, 15, n), "umol m-2 s-1"),
        "deficit": (rng.uniform(0.5, 2, n), "kPa"),
        "surface_co2": (rng.uniform(350, 400, n), "umol mol-1"),
    }
    return {**given, **change}


def test_units_are_converted_and_said():
    plain = leaf_observations(table())
    other = leaf_observations(
        table(
            conductance=(1e3 * plain["conductance"].values, "mmol m-2 s-1"),
            deficit=(10 * plain["deficit"].values, "hPa"),
        )
    )
    for name in ("conductance", "deficit"):
        assert other[name].values == pytest.approx(plain[name].values)
        assert other[name].attrs["units"] == plain[name].attrs["units"]


def test_a_deficit_of_mol_needs_the_pressure():
    share = (np.full(6, 0.01) * np.arange(1, 7), "mol mol-1")
    with pytest.raises(InputError, match="give the pressure"):
        leaf_observations(table(deficit=share))
    pressure = (np.linspace(99, 101, 6), "kPa")
    found = leaf_observations(table(deficit=share, pressure=pressure))
    assert found["deficit"].values == pytest.approx(share[0] * pressure[0])


def test_a_deficit_of_mol_in_disguise_is_refused():
    with pytest.raises(InputError, match="looks like mol mol-1"):
        leaf_observations(table(deficit=(np.linspace(0.005, 0.02, 6), "kPa")))


def test_rows_are_flagged_and_counted_and_none_is_lost():
    given = table(8)
    assimilation = given["assimilation"][0].copy()
    assimilation[1] = -1.0
    deficit = given["deficit"][0].copy()
    deficit[2] = 0.01
    conductance = given["conductance"][0].copy()
    conductance[3] = -9999
    conductance[4] = 5.0
    given |= {
        "assimilation": (assimilation, "umol m-2 s-1"),
        "deficit": (deficit, "kPa"),
        "conductance": (conductance, "mol m-2 s-1"),
    }
    for values, _ in given.values():
        values[7] = values[6]
    found = leaf_observations(given, bad=np.arange(8) == 5)
    assert found.sizes["observation"] == 8
    assert flag_counts(found).to_dict() == {
        "missing": 1, "implausible": 1, "no_uptake": 1, "small_deficit": 1,
        "duplicate": 1, "instrument": 1, "usable": 2,
    }  # fmt: skip
    assert usable(found)["observation"].values.tolist() == [0, 6]
    assert usable(found, ignore=("instrument",)).sizes["observation"] == 3


def test_what_follows_is_computed():
    n = 6
    more = {
        "leaf_temperature": (np.linspace(20, 25, n), "degC"),
        "air_temperature": (np.linspace(294.15, 297.15, n), "K"),
        "transpiration": (np.linspace(2, 4, n), "mmol m-2 s-1"),
        "boundary_conductance": (np.full(n, 2.8), "mol m-2 s-1"),
        "chamber_water": (np.linspace(10, 14, n), "mmol mol-1"),
        "chamber_co2": (np.linspace(380, 400, n), "umol mol-1"),
        "pressure": (np.full(n, 1000.0), "hPa"),
    }
    given = table(**more)
    del given["surface_co2"]
    found = leaf_observations(given)
    assert found["temperature_difference"].values == pytest.approx(
        np.linspace(-1, 1, n), abs=1e-9
    )
    drawn = (found["chamber_co2"] - found["surface_co2"]).values
    assert (drawn > found["assimilation"].values / (2.8 / 1.37)).all()
    assert ((found["surface_humidity"] > 0) & (found["surface_humidity"] < 1)).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"height": ([1.0], "m")}, "no quantity height"),
        ({"deficit": ([1.0], "kPa")}, "different lengths"),
        ({"deficit": (["a"] * 6, "kPa")}, "text among its numbers"),
        ({"conductance": (np.linspace(90, 300, 6), "mol m-2 s-1")}, "units right"),
        (
            {"light": (np.arange(6.0), "umol m-2 s-1"),
             "air_temperature": (np.arange(6.0), "degC")},
            "light and air_temperature are the same",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(change, words):
    with pytest.raises(InputError, match=words):
        leaf_observations(table(**change))


def test_absent_columns_and_rows_are_named():
    given = table()
    del given["deficit"]
    with pytest.raises(InputError, match="lacks deficit"):
        leaf_observations(given)
    with pytest.raises(InputError, match="no rows"):
        leaf_observations(table(0))
    dead = table(assimilation=(np.full(6, -2.0) - np.arange(6) / 10, "umol m-2 s-1"))
    with pytest.raises(InputError, match="'no_uptake': 6"):
        usable(leaf_observations(dead))
