"""Bilinear and nearest: between centres, at seams, poles, gaps and stations."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from tilth.core import regrid_weights
from tilth.core.errors import InputError
from tilth.core.regrid import bilinear, conservative, nearest


def grid(lat, lon, **extra):
    """Return a dataset with nothing but a grid."""
    return xr.Dataset(coords={"lat": lat, "lon": lon, **extra})


def globe(rows, columns, *, first_lon=0.0, north_first=True):
    """Return a global grid of equal steps."""
    lat = -90 + (np.arange(rows) + 0.5) * 180 / rows
    lon = first_lon + (np.arange(columns) + 0.5) * 360 / columns
    return grid(lat[::-1] if north_first else lat, lon)


def sites(lat, lon, **extra):
    """Return stations at these places."""
    return xr.Dataset(
        coords={"lat": ("station", lat), "lon": ("station", lon)}
        | {name: ("station", values) for name, values in extra.items()}
    )


def field_on(on, seed=0, **extra):
    """Return a random field, other dimensions first."""
    shape = [*extra.values(), on.sizes["lat"], on.sizes["lon"]]
    values = np.random.default_rng(seed).random(shape)
    return xr.DataArray(values, on.coords, [*extra, "lat", "lon"], name="field")


def gaussian(count):
    """Return Gaussian latitudes, north first."""
    sines, _ = np.polynomial.legendre.leggauss(count)
    return np.degrees(np.arcsin(sines))[::-1]


def test_a_bilinear_value_is_the_one_worked_out_by_hand():
    field = xr.DataArray(
        [[1.0, 3.0], [5.0, 11.0]], {"lat": [10.0, 20.0], "lon": [0.0, 4.0]}
    )
    at = sites([12.5, 10.0, 20.0], [1.0, 4.0, 2.0])
    # 0.75 * (1 + 0.25 * 2) + 0.25 * (5 + 0.25 * 6), a centre, the middle of an edge
    assert bilinear(field, at).apply(field).values == pytest.approx([2.75, 3, 8])


@settings(max_examples=80, deadline=None)
@given(
    lat=st.lists(st.floats(-88, 88), min_size=2, max_size=6, unique=True),
    steps=st.lists(st.floats(0.5, 40), min_size=1, max_size=7),
    west=st.floats(-400, 400),
    flips=st.tuples(st.booleans(), st.booleans()),
    seed=st.integers(0, 999),
)
def test_inside_the_centres_it_is_what_scipy_interpolates(
    lat, steps, west, flips, seed
):
    rng = np.random.default_rng(seed)
    lat = np.sort(lat)
    if np.diff(lat).min() < 1e-3:
        lat = np.linspace(-30, 40, lat.size)
    lon = west + np.concatenate([[0.0], np.cumsum(steps)])
    field = field_on(grid(lat, lon), seed)
    at_lat = rng.uniform(lat[0], lat[-1], 20)
    at_lon = rng.uniform(lon[0], lon[-1], 20)
    expected = RegularGridInterpolator((lat, lon), field.values)((at_lat, at_lon))
    turned = field[:: -1 if flips[0] else 1, :: -1 if flips[1] else 1]
    turned = turned.assign_coords(lon=(turned["lon"] + 180) % 360 - 180)
    at = sites(at_lat, at_lon + 360.0 * rng.integers(-1, 2, 20))
    found = bilinear(turned, at).apply(turned)
    # A place within a millionth of a step of a centre is taken to be on it.
    assert found.values == pytest.approx(expected, abs=3e-6)


def test_grid_to_grid_is_the_points_of_the_grid_one_by_one():
    source, target = globe(8, 15), globe(11, 7, first_lon=-180.0, north_first=False)
    field = field_on(source, time=3)
    on_grid = bilinear(source, target).apply(field)
    lat, lon = np.meshgrid(target["lat"], target["lon"], indexing="ij")
    at_points = bilinear(source, sites(lat.ravel(), lon.ravel())).apply(field)
    assert np.array_equal(on_grid.values.reshape(3, -1), at_points.values)
    bent = xr.Dataset(coords={"lat": (("y", "x"), lat), "lon": (("y", "x"), lon)})
    on_bent = bilinear(source, bent).apply(field)
    assert np.array_equal(on_bent.values, on_grid.values)
    assert on_bent.dims == ("time", "y", "x")
    assert on_bent["lat"].dims == ("y", "x")


@pytest.mark.parametrize("how", [bilinear, nearest])
def test_a_grid_brought_to_itself_across_the_seam_is_itself_to_the_last_bit(how):
    here = globe(9, 18)
    there = globe(9, 18, first_lon=-180.0, north_first=False)
    field = field_on(here)
    result = how(here, there).apply(field)
    same = result.assign_coords(lon=result["lon"] % 360).sortby("lon")
    assert np.array_equal(same.sortby("lat", ascending=False).values, field.values)


def test_the_seam_is_closed_between_the_last_column_and_the_first():
    source = grid([-10.0, 10.0], np.arange(0.0, 360.0, 90.0))
    field = xr.DataArray([[1.0, 0.0, 0.0, 5.0]] * 2, source.coords)
    at = sites([0.0] * 4, [315.0, -45.0, 359.0, 719.0])
    values = bilinear(source, at).apply(field).values
    near = 1 + 4 / 90
    assert values == pytest.approx([3, 3, near, near], rel=1e-12)


def test_between_the_last_row_and_the_pole_the_row_fades_into_its_mean():
    source = globe(18, 36)
    field = field_on(source)
    row = field.sel(lat=85.0)
    at = sites([90.0, 90.0, 88.0, 87.5], [5.0, 123.0, 5.0, 15.0])
    values = bilinear(source, at).apply(field).values
    mean, x5, x15 = row.mean().item(), row[0].item(), row[1].item()
    expected = [mean, mean, 0.4 * x5 + 0.6 * mean, 0.5 * x15 + 0.5 * mean]
    assert values == pytest.approx(expected, rel=1e-12)
    south = bilinear(source, sites([-90.0], [0.0])).apply(field).item()
    assert south == pytest.approx(field.sel(lat=-85.0).mean().item(), rel=1e-12)


def test_a_smooth_field_is_met_at_the_poles_as_well_as_elsewhere():
    source = globe(90, 180)
    height = xr.DataArray(np.sin(np.radians(source["lat"])))
    field = (height + 0 * source["lon"]).transpose("lat", "lon")
    lat = np.array([89.99, 89.3, -89.7, 45.3, 0.1])
    found = bilinear(source, sites(lat, np.full(5, 77.0))).apply(field)
    # A step of two degrees: at most its square over eight, and the half step to a pole.
    bound = np.radians(2.0) ** 2 / 8
    assert np.abs(found - np.sin(np.radians(lat))).max() < bound


@pytest.mark.parametrize("count", [32, 94])
def test_gaussian_grids_reach_the_poles(count):
    columns = 2 * count
    source = grid(gaussian(count), np.arange(columns) * 360.0 / columns)
    field = field_on(source)
    at = sites([90.0, -89.9, gaussian(count)[3]], [0.0, 10.0, source["lon"][5].item()])
    values = bilinear(source, at).apply(field)
    assert not values.isnull().any()
    assert values[2] == field[3, 5]
    assert nearest(source, at).apply(field)[0] == field[0, 0]
    # Without the poles, the caps beyond half a step would belong to no cell.
    regridder = conservative(source, globe(10, 10))
    assert regridder.source.area.sum() == pytest.approx(
        4 * np.pi * 6_371_007.2**2, rel=1e-12
    )
    assert np.allclose(regridder.covered_share, 1.0, rtol=0, atol=1e-12)


def test_a_regional_grid_reaches_to_the_edge_of_its_cells_and_no_farther():
    source = grid([40.0, 42.0, 44.0], [-8.0, -6.0])
    field = field_on(source)
    at = sites([44.9, 45.1, 41.0, 41.0, 38.0], [-7.0, -7.0, -9.0, -9.1, -4.0])
    gaps = bilinear(source, at).apply(field).isnull().values
    assert list(gaps) == [False, True, False, True, True]
    assert list(nearest(source, at).apply(field).isnull().values) == list(gaps)
    none = bilinear(source, at, reach=0.0).apply(field).isnull().values
    assert list(none) == [True] * 5
    all_of_them = bilinear(source, at, reach=np.inf).apply(field).values
    inner = sites([44.0, 44.0, 41.0, 41.0, 40.0], [-7.0, -7.0, -8.0, -8.0, -6.0])
    assert all_of_them == pytest.approx(bilinear(source, inner).apply(field).values)
    # The shorter way round decides which side of the box is nearest.
    far = bilinear(source, sites([41.0, 41.0], [150.0, -160.0]), reach=np.inf)
    east, west = far.apply(field).values
    assert east == pytest.approx(field.sel(lon=-6.0)[:2].mean().item())
    assert west == pytest.approx(field.sel(lon=-8.0)[:2].mean().item())


def test_a_gap_takes_its_weight_out_of_the_mean():
    source = grid([0.0, 10.0], [0.0, 10.0])
    field = xr.DataArray([[1.0, np.nan], [3.0, 9.0]], source.coords)
    at = sites([5.0, 0.0, 0.0, 0.0], [5.0, 10.0, 4.0, 6.0])
    regridder = bilinear(source, at)
    values = regridder.apply(field).values
    assert values[0] == pytest.approx(13 / 3)
    assert np.isnan(values[1])  # all of its weight is on the gap
    assert values[2] == pytest.approx(1.0)
    assert np.isnan(values[3])  # four tenths are not half
    assert regridder.apply(field, least_share=0.4).values[3] == pytest.approx(1.0)
    strict = regridder.apply(field, least_share=1.0)
    assert strict.isnull().values.all()
    full = regridder.apply(field.fillna(5.0), least_share=1.0)
    assert full.values == pytest.approx([4.5, 5.0, 2.6, 3.4])


def test_gaps_that_come_and_go_are_each_weighed_on_their_own():
    source, target = globe(6, 12), globe(9, 9)
    field = field_on(source, time=40)
    rng = np.random.default_rng(1)
    masks = rng.random((3, 6, 12)) < 0.3
    which = rng.integers(0, 4, 40)  # none, or one of three, often twice running
    values = field.values.copy()
    for t, number in enumerate(which):
        if number:
            values[t][masks[number - 1]] = np.nan
    field = field.copy(data=values)
    regridder = bilinear(source, target)
    together = regridder.apply(field)
    alone = [regridder.apply(field[t]) for t in range(40)]
    assert together.identical(xr.concat(alone, "time"))


@pytest.mark.parametrize("together", [1, 150, 700, 10**7])
def test_how_many_steps_are_looked_at_together_does_not_change_a_bit(
    monkeypatch, together
):
    source, target = globe(6, 12), globe(9, 9)
    field = field_on(source, time=23)
    field[3:9] = field[3:9].where(field[3] > 0.3)
    field[17:] = field[17:].where(field[17:] > 0.1)
    regridder = bilinear(source, target)
    expected = xr.concat([regridder.apply(field[t]) for t in range(23)], "time")
    monkeypatch.setattr(regrid_weights, "_TOGETHER", together)
    assert regridder.apply(field).identical(expected)


def test_a_station_has_the_same_bits_alone_and_among_many():
    source = globe(30, 60)
    rng = np.random.default_rng(8)
    many = sites(rng.uniform(-80, 80, 4000), rng.uniform(-180, 180, 4000))
    field = field_on(source, time=3).where(lambda f: f > 0.1)
    together = bilinear(source, many).apply(field)
    alone = bilinear(source, many.isel(station=[7])).apply(field)
    assert np.array_equal(together.values[:, [7]], alone.values, equal_nan=True)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(2, 9),
    columns=st.integers(3, 12),
    first=st.floats(-360, 360),
    seed=st.integers(0, 999),
)
def test_a_constant_stays_and_nothing_overshoots_even_with_gaps(
    rows, columns, first, seed
):
    source = globe(rows, columns, first_lon=first)
    target = globe(13, 17)
    regridder = bilinear(source, target)
    field = field_on(source, seed)
    field = field.where(field > 0.2)
    result = regridder.apply(field, least_share=0.0)
    assert result.min() >= field.min() * (1 - 1e-14)
    assert result.max() <= field.max() * (1 + 1e-14)
    constant = regridder.apply(xr.full_like(field, 0.7))
    assert np.allclose(constant, 0.7, rtol=1e-14, atol=0)
    assert np.allclose(regridder.covered_share, 1.0, rtol=0, atol=1e-14)


@pytest.mark.parametrize("chunks", [{}, {"time": 1}, {"time": 3, "lat": 2, "lon": 5}])
@pytest.mark.parametrize("how", [bilinear, nearest])
def test_chunks_do_not_change_a_bit(how, chunks):
    source = globe(6, 12)
    target = sites(np.linspace(-89, 89, 9), np.linspace(-200, 200, 9))
    field = field_on(source, time=7, member=2)
    field = field.where(field > 0.2).transpose("member", "lat", "time", "lon")
    regridder = how(source, target)
    expected = regridder.apply(field)
    lazy = regridder.apply(field.chunk(chunks))
    assert lazy.chunks is not None
    assert lazy.compute().identical(expected)
    assert expected.dims == ("member", "time", "station")


def test_the_weights_are_their_own_gradient():
    source, target = globe(5, 8), sites([12.0, 33.0, 89.0], [3.0, 200.0, 20.0])
    regridder = bilinear(source, target)
    field = field_on(source)
    dense = regridder.weights.toarray()
    step = 1e-3
    for cell in (0, 7, 19, 39):
        bumped = field.copy()
        bumped.values.ravel()[cell] += step
        change = (regridder.apply(bumped) - regridder.apply(field)).values / step
        assert change == pytest.approx(dense[:, cell], abs=1e-10)


def test_stations_keep_their_names_altitudes_and_positions():
    names, heights = ["Soria", "Lleida"], [1082, 192]
    at = sites([41.77, 41.63], [-2.48, 0.6], name=names, altitude=heights)
    at = at.assign_coords(station=["232", "229"])
    source = grid(np.arange(36.0, 46), np.arange(-10.0, 5))
    field = field_on(source, time=2).assign_attrs(units="mm day-1")
    for how in (bilinear, nearest):
        result = how(field, at).apply(field)
        assert list(result["name"].values) == names
        assert list(result["altitude"].values) == heights
        assert list(result["station"].values) == ["232", "229"]
        assert result.attrs == {"units": "mm day-1"}
    one = at.isel(station=0)
    alone = bilinear(field, one).apply(field)
    assert alone.dims == ("time",)
    assert alone.values == pytest.approx(
        bilinear(field, at).apply(field).values[:, 0], rel=1e-15
    )


def test_half_way_between_two_cells_the_southern_and_western_one_is_nearest():
    for flip in (1, -1):
        source = grid([0.0, 2.0][::flip], [10.0, 14.0])
        field = xr.DataArray([[1.0, 2.0], [3.0, 4.0]][::flip], source.coords)
        at = sites([1.0, 1.01, 1.0], [12.0, 12.0, 12.01])
        assert list(nearest(source, at).apply(field).values) == [1.0, 3.0, 2.0]


def test_single_precision_coordinates_still_go_around():
    # As in a well-known reanalysis of land: 3,600 columns, written in single precision.
    lon = np.arange(3600, dtype="float32") * np.float32(0.1)
    source = grid(np.array([0.05, -0.05]), lon)
    field = field_on(source)
    value = bilinear(source, sites([0.05], [-0.05])).apply(field).item()
    assert value == pytest.approx(field.values[0, [0, -1]].mean(), rel=1e-3)
    whole = conservative(source, grid([0.05, -0.05], [45.0, 135.0, 225.0, 315.0]))
    assert np.allclose(whole.covered_share, 1.0, rtol=0, atol=1e-4)


def test_what_cannot_be_interpolated_is_refused_with_the_reason():
    source = globe(4, 8)
    good = sites([1.0], [2.0])
    field = field_on(source)
    odd = xr.Dataset(coords={"lat": ("a", [1.0, 2.0]), "lon": ("b", [1.0])})
    cases = [
        (source, sites([91.0], [0.0]), "between the poles"),
        (source, sites([np.nan], [0.0]), "NaN"),
        (source, odd, "one each, or both the same"),
        (source, xr.Dataset(coords={"y": [1.0]}), "one coordinate of latitude"),
        (good, source, "follow parallels"),
    ]
    for one, other, said in cases:
        with pytest.raises(InputError, match=said):
            bilinear(one, other)
    with pytest.raises(InputError, match="reach must not be negative"):
        bilinear(source, good, reach=-1.0)
    regridder = bilinear(source, good)
    with pytest.raises(InputError, match="no way back"):
        regridder.backward()
    with pytest.raises(InputError, match="a gap a value of 0"):
        regridder.apply(field, gaps="zero")
    with pytest.raises(InputError, match="build weights for this grid"):
        regridder.apply(field[::-1])
    stacked = field.expand_dims(station=2)
    with pytest.raises(InputError, match="has the dimension station already"):
        regridder.apply(stacked)


def test_positions_may_be_variables_of_a_dataset():
    at = sites([1.0, 3.0], [2.0, 4.0]).reset_coords(["lat", "lon"])
    source = globe(6, 12)
    field = field_on(source)
    result = bilinear(source, at).apply(field)
    assert list(result["lat"].values) == [1.0, 3.0]
    assert result.sizes == {"station": 2}


@pytest.mark.realdata
def test_at_stations_it_is_the_reference_interpolation_of_the_pattern_case(dataset):
    """Of the reference tables: bilinear with the target clamped to the coarse box."""
    folder = dataset("iberia-winters")
    coarse = xr.open_dataset(folder / "NCEP_Iberia_pr.nc")["pr"].load()
    for name in ("VALUE_Iberia_pr.nc", "EOBS_Iberia_pr.nc"):
        at = xr.open_dataset(folder / name)["pr"].load()
        lat, lon = (
            np.clip(at[c].values, coarse[c].values.min(), coarse[c].values.max())
            for c in ("lat", "lon")
        )
        axes = (coarse["lat"].values, coarse["lon"].values)
        values = np.moveaxis(coarse.values.astype(float), 0, -1)
        expected = RegularGridInterpolator(axes, values)((lat, lon)).T
        found = bilinear(coarse, at, reach=np.inf).apply(coarse)
        assert found.dims == ("time", at.dims[1])
        assert np.abs(found.values - expected).max() < 1e-5  # mm day-1


@pytest.mark.realdata
def test_its_correlations_with_rain_are_those_of_the_reference_tables(dataset):
    """Pattern case P4, bilinear, raw: each target and each fold of two winters."""
    folder, tables = dataset("iberia-winters"), dataset("pattern-reference")
    coarse = xr.open_dataset(folder / "NCEP_Iberia_pr.nc")["pr"].clip(0.0).load()
    files = {"stations": "VALUE_Iberia_pr.nc", "cells": "EOBS_Iberia_pr.nc"}
    for kind, name in files.items():
        rain = xr.open_dataset(folder / name)["pr"].load()
        found = bilinear(coarse, rain, reach=np.inf).apply(coarse)
        winter = (rain["time"].dt.year + (rain["time"].dt.month == 12)).values
        table = pd.read_csv(tables / f"pattern_pr_{kind}.csv")
        table = table[(table["method"] == "bilin") & (table["stage"] == "raw")]
        assert len(table) == 5 * rain.shape[1]
        for row in table.itertuples():
            place = np.flatnonzero(
                np.isclose(rain["lat"], row.lat) & np.isclose(rain["lon"], row.lon)
            )
            fold = np.isin(winter, [1981 + 2 * row.fold, 1982 + 2 * row.fold])
            pair = found.values[fold][:, place[0]], rain.values[fold][:, place[0]]
            known = np.isfinite(pair[1])
            r = np.corrcoef(pair[0][known], pair[1][known])[0, 1]
            assert r == pytest.approx(row.r, abs=1e-5), (kind, row.target, row.fold)
