"""Conservative regridding: areas shared, integrals kept, gaps and seams in place."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.core.regrid import EARTH_RADIUS, conservative, conservative_regions
from tilth.core.regrid_cells import latlon_grid


def grid(lat, lon, **extra):
    """Return a dataset with nothing but a grid."""
    return xr.Dataset(coords={"lat": lat, "lon": lon, **extra})


def regular(rows, columns, *, first_lon=0.0, north_first=True):
    """Return a global grid of equal steps."""
    lat = -90 + (np.arange(rows) + 0.5) * 180 / rows
    lon = first_lon + (np.arange(columns) + 0.5) * 360 / columns
    return grid(lat[::-1] if north_first else lat, lon)


def random_field(on, seed=0, **extra):
    """Return a field with values between 0 and 1, other dimensions first."""
    shape = [*extra.values(), on.sizes["lat"], on.sizes["lon"]]
    values = np.random.default_rng(seed).random(shape)
    return xr.DataArray(values, on.coords, [*extra, "lat", "lon"], name="field")


def integral(values, places):
    return (values.values * places.area).sum(axis=(-2, -1))


def edges(spaces, low, high):
    """Return edges between two ends, in the proportions of the spaces."""
    return low + (high - low) * np.concatenate([[0.0], np.cumsum(spaces)]) / sum(spaces)


def bounded(lat_edges, lon_edges):
    """Return the grid with these edges, centres in the middle, bounds given."""
    lat, lon = (
        (np.asarray(e)[1:] + np.asarray(e)[:-1]) / 2 for e in (lat_edges, lon_edges)
    )
    pairs = {
        f"{name}_bnds": ((name, "nv"), np.stack([e[:-1], e[1:]], axis=1))
        for name, e in (("lat", np.asarray(lat_edges)), ("lon", np.asarray(lon_edges)))
    }
    made = grid(lat, lon).assign(pairs)
    for name in ("lat", "lon"):
        made[name].attrs["bounds"] = f"{name}_bnds"
    return made


SPACES = st.lists(st.floats(0.05, 1.0), min_size=2, max_size=9)


def test_the_weights_of_hand_grids_are_their_shared_areas():
    source = grid([15.0, 45.0], [5.0, 15.0])  # 0-30-60 north, 0-10-20 east
    target = bounded([15.0, 45.0], [4.0, 18.0])
    weights = conservative(source, target).weights.toarray() / EARTH_RADIUS**2
    sines = np.sin(np.radians([15, 30, 45]))
    rows, columns = np.diff(sines), np.radians([6.0, 8.0])
    assert weights == pytest.approx(np.outer(rows, columns).reshape(1, 4), rel=1e-14)


def test_cells_on_the_sphere_add_up_to_it_whatever_their_order():
    for on in (
        regular(7, 11),
        regular(6, 4, north_first=False, first_lon=-180.0),
        grid(np.linspace(90, -90, 19), np.arange(0, 360, 10.0)),  # centres at poles
    ):
        area = latlon_grid(on).area()
        assert area.sum() == pytest.approx(4 * np.pi * EARTH_RADIUS**2, rel=1e-14)
        assert (area > 0).all()


@settings(max_examples=60, deadline=None)
@given(
    lats=st.tuples(SPACES, SPACES),
    lons=st.tuples(SPACES, SPACES),
    turn=st.tuples(st.floats(-540, 540), st.floats(-540, 540)),
    flips=st.tuples(st.booleans(), st.booleans()),
    seed=st.integers(0, 100),
)
def test_between_any_two_grids_of_the_sphere_integrals_are_kept_and_nothing_overshoots(
    lats, lons, turn, flips, seed
):
    source, target = (
        bounded(edges(a, -90.0, 90.0), edges(b, c, c + 360.0))
        for a, b, c in zip(lats, lons, turn, strict=True)
    )
    if flips[0]:
        source = source.isel(lat=slice(None, None, -1))
    if flips[1]:
        target = target.isel(lat=slice(None, None, -1), lon=slice(None, None, -1))
    regridder = conservative(source, target)
    field = random_field(source, seed)
    result = regridder.apply(field)
    before = integral(field, regridder.source)
    assert integral(result, regridder.target) == pytest.approx(before, rel=1e-13)
    assert result.min() >= field.min() * (1 - 1e-14)
    assert result.max() <= field.max() * (1 + 1e-14)
    assert np.allclose(regridder.covered_share, 1.0, rtol=0, atol=1e-12)
    constant = regridder.apply(xr.full_like(field, 0.7))
    assert np.allclose(constant, 0.7, rtol=1e-14, atol=0)
    # And back again: the same areas.
    back = regridder.backward().apply(result)
    assert integral(back, regridder.source) == pytest.approx(before, rel=1e-13)
    assert back.dims == field.dims


def test_a_grid_regridded_to_itself_across_the_seam_is_itself_to_the_last_bit():
    here = regular(9, 18)
    there = regular(9, 18, first_lon=-180.0, north_first=False)
    field = random_field(here)
    regridder = conservative(here, there)
    assert regridder.weights.nnz == 9 * 18
    result = regridder.apply(field)
    same = result.assign_coords(lon=result["lon"] % 360).sortby("lon")
    assert np.allclose(same.sortby("lat", ascending=False), field, rtol=1e-15, atol=0)


def test_a_coarser_grid_of_whole_cells_holds_their_means_weighted_by_area():
    fine, coarse = regular(12, 24), regular(4, 6)
    field = random_field(fine)
    area = xr.DataArray(latlon_grid(fine).area(), fine.coords, ["lat", "lon"])
    blocks = {"lat": 3, "lon": 4}
    expected = (field * area).coarsen(blocks).sum() / area.coarsen(blocks).sum()
    result = conservative(fine, coarse).apply(field)
    assert np.allclose(result, expected, rtol=1e-13, atol=0)


def test_columns_that_pass_the_seam_in_the_data_are_where_they_should_be():
    across = grid([5.0, -5.0], [358.5, 359.5, 0.5, 1.5])
    wide = bounded([-10.0, 10.0], [-2.0, 0.0])
    field = xr.DataArray([[1.0, 3.0, 10, 20]] * 2, across.coords, ["lat", "lon"])
    assert conservative(across, wide).apply(field).item() == pytest.approx(2.0)


@pytest.mark.parametrize("chunks", [{}, {"time": 1}, {"time": 3, "lat": 2, "lon": 5}])
def test_chunks_do_not_change_a_bit(chunks):
    source, target = regular(6, 12), regular(5, 7)
    field = random_field(source, time=7, member=2)
    field = field.where(field > 0.2).transpose("member", "lat", "time", "lon")
    regridder = conservative(source, target)
    expected = regridder.apply(field)
    lazy = regridder.apply(field.chunk(chunks))
    assert lazy.chunks is not None
    assert lazy.compute().identical(expected)
    one = regridder.apply(field.isel(time=3, member=1))
    assert one.drop_vars(["time", "member"], errors="ignore").equals(
        expected.isel(time=3, member=1)
    )
    assert expected.dims == ("member", "time", "lat", "lon")


def test_gaps_are_left_out_of_the_mean_and_too_large_gaps_are_gaps():
    source = bounded([0.0, 0.001], [0.0, 1.0, 2.0, 3.0, 4.0])
    target = bounded([0.0, 0.001], [0.0, 4.0])
    field = xr.DataArray(
        [[1.0, 2.0, 6.0, np.nan]], source.coords, ["lat", "lon"], attrs={"units": "m"}
    )
    regridder = conservative(source, target)
    value = regridder.apply(field)
    assert value.item() == pytest.approx(3.0, rel=1e-14)
    assert value.attrs == {"units": "m"}
    assert regridder.apply(field, least_share=0.75).item() == pytest.approx(3.0)
    assert np.isnan(regridder.apply(field, least_share=0.76).item())
    assert regridder.apply(field, gaps="zero").item() == pytest.approx(9 / 4, rel=1e-14)
    nothing = regridder.apply(field * np.nan, least_share=0.0)
    assert np.isnan(nothing.item())
    assert regridder.apply(field * np.nan, gaps="zero").item() == 0.0


def test_with_gaps_as_zero_the_integral_is_kept_at_a_coast():
    source, target = regular(20, 40), regular(7, 9)
    field = random_field(source)
    field = field.where(field > 0.4)
    regridder = conservative(source, target)
    result = regridder.apply(field, gaps="zero")
    total = np.nansum(integral(field.fillna(0.0), regridder.source))
    assert integral(result, regridder.target) == pytest.approx(total, rel=1e-13)


def test_what_the_source_does_not_reach_is_a_gap_with_the_share_told():
    source = bounded([0.0, 0.001], [0.0, 1.0, 2.0])
    target = bounded([0.0, 0.001], [0.0, 1.5, 3.5, 5.0])
    regridder = conservative(source, target)
    field = xr.DataArray([[1.0, 3.0]], source.coords, ["lat", "lon"])
    assert regridder.covered_share.values == pytest.approx(np.array([[1.0, 0.25, 0.0]]))
    values = regridder.apply(field).values[0]
    assert values[0] == pytest.approx(5 / 3)
    assert np.isnan(values[1:]).all()
    assert regridder.apply(field, least_share=0.2).values[0, 1] == pytest.approx(3.0)


def test_single_precision_and_integers_are_averaged_in_double():
    source, target = regular(6, 12), regular(3, 4)
    field = random_field(source)
    regridder = conservative(source, target)
    single = regridder.apply(field.astype("float32"))
    assert single.dtype == np.float64
    assert np.allclose(single, regridder.apply(field), rtol=1e-6)
    ones = regridder.apply(xr.ones_like(field, dtype="int16"))
    assert np.allclose(ones, 1.0, rtol=1e-15, atol=0)


def test_coordinates_of_single_precision_make_no_slivers():
    exact = regular(7, 11)
    rounded = exact.assign_coords(
        lat=exact["lat"].astype("float32"), lon=exact["lon"].astype("float32")
    )
    assert conservative(exact, rounded).weights.nnz == 7 * 11


def labels_on(fine, values):
    return xr.DataArray(values, fine.coords, ["lat", "lon"], name="catchment")


def test_regions_have_the_mean_of_what_lies_in_them():
    source = grid([0.5, -0.5], [0.5, 1.5])
    fine = grid([0.75, 0.25, -0.25, -0.75], [0.25, 0.75, 1.25, 1.75])
    labels = labels_on(fine, [[4, 4, 4, 2], [4, 4, 4, 2], [0, 0, 2, 2], [0, 0, 0, 0]])
    field = xr.DataArray([[1.0, 4.0], [9.0, 7.0]], source.coords, ["lat", "lon"])
    regridder = conservative_regions(source, labels, [4, 2])
    means = regridder.apply(field)
    area = latlon_grid(fine).area()
    assert list(means["catchment"]) == [4, 2]
    four = (1.0 * area[:2, :2].sum() + 4.0 * area[:2, 2].sum()) / area[:2, :3].sum()
    two = (4.0 * area[:2, 3].sum() + 7.0 * area[2, 2:].sum()) / (
        area[:2, 3].sum() + area[2, 2:].sum()
    )
    assert means.values == pytest.approx([four, two], rel=1e-13)
    inside = [area[:2, :3].sum(), area[:2, 3].sum() + area[2, 2:].sum()]
    assert regridder.target.area == pytest.approx(inside, rel=1e-14)


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(2, 9), columns=st.integers(2, 9), seed=st.integers(0, 1000))
def test_regions_that_fill_the_sphere_take_all_that_is_on_it(rows, columns, seed):
    source, fine = regular(rows, columns), regular(8, 16, first_lon=-180.0)
    rng = np.random.default_rng(seed)
    labels = labels_on(fine, rng.integers(1, 6, (8, 16)).astype(float))
    regridder = conservative_regions(source, labels)
    field = random_field(source, seed, time=2)
    means = regridder.apply(field)
    total = (means.values * regridder.target.area).sum(axis=-1)
    assert total == pytest.approx(integral(field, regridder.source), rel=1e-13)
    # The share that is flooded, back on the grid: the same area.
    back = regridder.backward().apply(means)
    assert integral(back, regridder.source) == pytest.approx(total, rel=1e-13)
    assert back.dims == ("time", "lat", "lon")


def test_regions_do_not_depend_on_how_many_rows_are_looked_at_together(monkeypatch):
    from tilth.core import regrid_conservative as regrid

    source, fine = regular(5, 6), regular(40, 60)
    labels = labels_on(fine, np.arange(2400).reshape(40, 60) // 7)
    whole = conservative_regions(source, labels).weights
    monkeypatch.setattr(regrid, "_TOGETHER", 130)
    parts = conservative_regions(source, labels).weights
    assert np.allclose(whole.toarray(), parts.toarray(), rtol=1e-14, atol=0)


def test_what_is_no_grid_is_refused_with_the_reason():
    good = regular(4, 8)
    field = random_field(good)
    curved = xr.Dataset(coords={"lat": (("y", "x"), np.ones((2, 2))), "lon": [0.0, 1]})
    cases = [
        (curved, "follow parallels"),
        (grid([0.0, 1.0], [0.0, 0.0]), "lon must increase"),
        (grid([0.0, np.nan], [0.0, 1.0]), "not numbers"),
        (grid([0.0], [0.0, 1.0]), "lat has one value"),
        (grid([95.0, 85.0], [0.0, 1.0]), "between the poles"),
        (grid([0.0, 1.0], np.arange(0, 361, 10.0)), "more than once"),
        (xr.Dataset(coords={"y": [0.0, 1.0], "lon": [0.0, 1.0]}), "one coordinate of"),
        (bounded([0.0, 5.0, 4.0], [0.0, 1.0]), "must enclose|increase"),
    ]
    for wrong, said in cases:
        with pytest.raises(InputError, match=said):
            conservative(wrong, good)
    regridder = conservative(good, regular(2, 2))
    refused = [
        (field.isel(lat=slice(1, None)), {}, "lat of field is not that of the weights"),
        (field.isel(lat=slice(None, None, -1)), {}, "build weights for this grid"),
        (field.rename(lat="latitude"), {}, "lacks the dimension lat"),
        (field.to_dataset(), {}, "choose a variable"),
        (field, {"gaps": "nearest"}, "gaps is"),
        (field, {"least_share": 1.5}, "least_share"),
    ]
    for data, options, said in refused:
        with pytest.raises(InputError, match=said):
            regridder.apply(data, **options)


def test_labels_that_are_none_are_refused():
    source = regular(4, 8)
    labels = labels_on(source, np.arange(32).reshape(4, 8))
    with pytest.raises(InputError, match=r"no cell of 1 region.* 99"):
        conservative_regions(source, labels, [3, 99])
    with pytest.raises(InputError, match="twice"):
        conservative_regions(source, labels, [3, 3])
    with pytest.raises(InputError, match="whole numbers"):
        conservative_regions(source, labels + 0.5)
    with pytest.raises(InputError, match="a name"):
        conservative_regions(source, labels.rename(None))
    with pytest.raises(InputError, match="no cell of any"):
        conservative_regions(source, labels * 0)
