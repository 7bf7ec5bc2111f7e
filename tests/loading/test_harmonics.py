import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.loading import (
    LoveNumbers,
    green_functions,
    grid_displacement,
    harmonic_displacement,
    stokes_coefficients,
)
from tilth.loading.harmonics import _legendre

N = np.arange(401.0)
ONE = np.maximum(N, 1.0)
EARTH = LoveNumbers(
    -6.0 + 5.0 / ONE,
    np.where(N > 0, (1.9 - 1.4 / ONE) / ONE, 0.0),
    np.where(N > 1, -(2.7 - 2.0 / ONE) / ONE, 0.0),
    frame="CE",
    source="made up",
)


def smooth_load(step=2.0):
    lat = np.arange(-90 + step / 2, 90, step)
    lon = np.arange(step / 2, 360, step)
    phi, lam = np.meshgrid(np.radians(lat), np.radians(lon), indexing="ij")
    toward = np.sin(phi) * np.sin(0.6) + np.cos(phi) * np.cos(0.6) * np.cos(lam - 1.0)
    values = 30.0 * np.exp(4.0 * (toward - 1.0))
    values = values - 5.0 * np.sin(phi) * np.cos(phi) ** 2 * np.cos(2 * lam)
    return xr.DataArray(
        values, {"lat": lat, "lon": lon}, ("lat", "lon"), attrs={"units": "kg m-2"}
    )


STATIONS = xr.Dataset(
    {
        "lat": ("station", [35.0, -12.0, 89.9, 60.0]),
        "lon": ("station", [57.0, 200.0, 10.0, -120.0]),
    }
)


@pytest.mark.parametrize("frame", ["CE", "CF", "CM"])
def test_harmonics_and_green_functions_say_the_same_of_a_smooth_load(frame):
    # Two ways with nothing in common but the Love numbers.
    load = smooth_load(1.0)
    there = EARTH.in_frame(frame)
    coefficients = stokes_coefficients(load, EARTH.in_frame("CF"), 60)
    by_degrees = harmonic_displacement(coefficients, STATIONS, there)
    by_points = grid_displacement(load, STATIONS, green_functions(there))
    for name in ("east", "north", "up", "geoid"):
        scale = float(abs(by_points[name]).max())
        np.testing.assert_allclose(
            by_degrees[name], by_points[name], rtol=2e-4, atol=2e-4 * scale
        )


def test_a_month_more_is_a_column_more():
    load = smooth_load(6.0)
    months = xr.concat([load, -2.0 * load], "month").assign_attrs(load.attrs)
    moved = harmonic_displacement(
        stokes_coefficients(months, EARTH, 20), STATIONS, EARTH, coefficients_frame="CE"
    )
    np.testing.assert_allclose(
        moved.up.sel(month=1), -2.0 * moved.up.sel(month=0), rtol=1e-12
    )


def test_legendre_functions_are_normalised_and_orthogonal():
    nodes, weights = np.polynomial.legendre.leggauss(60)
    values, _ = _legendre(nodes, 40)
    for m in (0, 1, 7, 40):
        products = np.einsum("inm,ikm,i->nkm", values, values, weights)[m:, m:, m]
        expected = np.eye(41 - m) * (2.0 if m == 0 else 4.0)
        np.testing.assert_allclose(products, expected, atol=1e-10)


def test_slopes_of_legendre_functions_are_those_of_differences():
    latitude, step = 0.4, 1e-6
    _, slope = _legendre(np.array([np.sin(latitude)]), 30)
    high, low = (
        _legendre(np.array([np.sin(latitude + s)]), 30)[0] for s in (step, -step)
    )
    np.testing.assert_allclose(slope, (high - low) / (2 * step), rtol=1e-5, atol=1e-5)


def test_a_uniform_layer_is_degree_zero():
    load = xr.full_like(smooth_load(), 3.0).assign_attrs(units="kg m-2")
    c = stokes_coefficients(load, EARTH, 10)["C"]
    expected = 3.0 * 4 * np.pi * EARTH.radius**2 / EARTH.mass
    assert float(c[0, 0]) == pytest.approx(expected, rel=1e-12)
    assert float(abs(c).sum()) == pytest.approx(expected, rel=1e-9)


def coefficients(count=5, **changes):
    zeros = xr.DataArray(np.zeros((count, count)), dims=("degree", "order"))
    return xr.Dataset({"C": zeros, "S": zeros} | changes)


def test_degree_one_cannot_come_from_the_centre_of_mass():
    changed = coefficients()
    changed["C"] = changed["C"].copy()
    changed["C"][1, 0] = 1e-10
    with pytest.raises(InputError, match="frame CM are 0 by definition"):
        harmonic_displacement(changed, STATIONS, EARTH, coefficients_frame="CM")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (coefficients().drop_vars("S"), "S"),
        (coefficients().isel(order=0), "lacks the dimension order"),
        (coefficients().isel(order=slice(3)), "5 degrees and 3 orders"),
        (coefficients().assign_coords(degree=np.arange(2, 7)), "from 0 up"),
        (coefficients(500), "the Love numbers to 400"),
        (coefficients() + np.nan, "missing values"),
    ],
)
def test_coefficients_that_cannot_be_meant_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        harmonic_displacement(given, STATIONS, EARTH)


def test_more_degrees_than_love_numbers_are_refused():
    with pytest.raises(InputError, match="400"):
        stokes_coefficients(smooth_load(30.0), EARTH, 500)
