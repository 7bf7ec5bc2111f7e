"""Networks built from terrain: every cell drains where it should, however they lie."""

import logging

import numpy as np
import pyflwdir
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from tilth.core.errors import InputError
from tilth.core.regrid import conservative, conservative_regions
from tilth.core.regrid_cells import latlon_grid
from tilth.rivers.network.build import build_network
from tilth.rivers.network.channels import channel_depth, channel_width, runoff_volume
from tilth.rivers.network.model import INLAND, MOUTH
from tilth.rivers.network.synthetic_relief import synthetic_terrain

SEA = 247
EAST, SOUTH, NORTH = 1, 4, 64
STEPS = {1: (0, 1), 2: (1, 1), 4: (1, 0), 8: (1, -1), 16: (0, -1), 32: (-1, -1),
         64: (-1, 0), 128: (-1, 1)}  # fmt: skip


def projected(values, cell=1000.0):
    """Return a raster in metres, north first."""
    values = np.asarray(values)
    rows, columns = values.shape
    coords = {
        "y": ("y", np.arange(rows)[::-1] * cell, {"units": "m"}),
        "x": ("x", np.arange(columns) * cell, {"units": "m"}),
    }
    return xr.DataArray(values, coords, ("y", "x"))


def geographic(values, step=0.1, north=0.0):
    """Return a raster in degrees, north first."""
    values = np.asarray(values)
    rows, columns = values.shape
    lat, lon = north - step * np.arange(rows), step * np.arange(columns)
    return xr.DataArray(values, {"lat": lat, "lon": lon}, ("lat", "lon"))


@pytest.fixture
def valley():
    """A river to the east along the second row, its banks, and the sea."""
    codes = [[SOUTH] * 4, [EAST] * 4, [NORTH] * 4, [NORTH] * 4]
    bed = np.array([3.0, 2.5, 2.0, 1.5])
    heights = np.array([[10.0], [0.0], [4.0], [8.0]]) + bed
    sea = np.full((4, 1), np.nan)
    flow = np.hstack([codes, np.full((4, 1), SEA)]).astype(np.uint8)
    return projected(np.hstack([heights, sea])), projected(flow)


def test_a_valley_worked_out_by_hand(valley):
    network, labels = build_network(*valley, factor=2)
    data = network.data
    assert labels.values.tolist() == [
        [1, 1, 2, 2, 0],
        [1, 1, 2, 2, 0],
        [3, 1, 4, 2, 0],
        [3, 1, 4, 2, 0],
    ]
    assert network.downstream.tolist() == [1, MOUTH, 0, 1]
    assert data["area"].values.tolist() == [6e6, 6e6, 2e6, 2e6]
    assert data["upstream_area"].values.tolist() == [8e6, 16e6, 2e6, 2e6]
    assert data["elevation"].values.tolist() == [2.5, 1.5, 7.0, 6.0]
    assert data["downstream_distance"].values.tolist() == [2000.0] * 4
    assert data["river_length"].values.tolist() == [2000.0, 2000.0, 1000.0, 1000.0]
    assert data["x"].values.tolist() == [1000.0, 3000.0, 0.0, 2000.0]
    assert data["y"].values.tolist() == [2000.0, 2000.0, 1000.0, 1000.0]
    # Six cells: two of the river, then 4, 8, 10 and 10 m above it.
    profile = [0, 0, 0, 4, 4, 8, 10, 10, 10, 10]
    assert data["floodplain_height"].values[:2].tolist() == [profile] * 2
    assert data["row"].values.tolist() == [0, 0, 1, 1]
    assert data["column"].values.tolist() == [0, 1, 0, 1]


def test_with_a_factor_of_one_every_cell_is_a_catchment(valley):
    network, labels = build_network(*valley, factor=1)
    assert sorted(labels.values[labels.values > 0]) == list(range(1, 17))
    assert network.downstream[:8].tolist() == [4, 5, 6, 7, 5, 6, 7, MOUTH]
    assert "floodplain_height" not in network.data
    assert (network.data["river_length"] == 1000.0).all()


def test_with_one_square_all_of_the_raster_is_one_catchment(valley):
    network, labels = build_network(*valley, factor=5)
    assert network.downstream.tolist() == [MOUTH]
    assert network.data["area"].item() == 16e6
    assert (labels.values[:, :4] == 1).all()


def test_directions_alone_give_a_network_without_elevations(valley):
    _, flow = valley
    network, _ = build_network(flow_direction=flow, factor=2)
    assert network.downstream.tolist() == [1, MOUTH, 0, 1]
    assert "elevation" not in network.data
    assert "floodplain_height" not in network.data
    ldd = {SOUTH: 2, EAST: 6, NORTH: 8, SEA: 255}
    same = flow.copy(data=np.vectorize(ldd.get)(flow.values))
    other, labels = build_network(flow_direction=same, factor=2)
    assert other.data.drop_attrs().identical(network.data.drop_attrs())
    assert (labels.values[:, -1] == 0).all()


def test_the_order_of_rows_and_columns_of_the_raster_does_not_matter(valley):
    expected, labels = build_network(*valley, factor=2)
    turned = [
        raster.isel(y=slice(None, None, -1), x=slice(None, None, -1)).T
        for raster in valley
    ]
    network, turned_labels = build_network(*turned, factor=2)
    assert network.data.drop_attrs().identical(expected.data.drop_attrs())
    assert turned_labels["y"].equals(turned[0]["y"])
    xr.testing.assert_equal(
        turned_labels.sortby("y", ascending=False).sortby("x"), labels
    )


def test_rivers_end_in_the_sea_inland_or_at_the_edge_of_the_raster():
    rows = [
        [EAST, EAST, SEA],
        [EAST, EAST, EAST],
        [EAST, 0, EAST],
        [EAST, EAST, EAST],
        [EAST, 0, SEA],
        [EAST, 255, SEA],
    ]
    codes = projected(np.array(rows, np.uint8))
    network, labels = build_network(flow_direction=codes, factor=1)

    def end(row, column):
        return network.downstream[network.positions([labels.values[row, column]])[0]]

    assert end(0, 1) == MOUTH  # flows to a cell of the sea
    assert end(1, 2) == INLAND  # flows off the raster
    assert end(2, 1) == INLAND  # a pit away from the sea
    assert end(4, 1) == MOUTH  # a pit beside the sea
    assert end(5, 1) == INLAND  # beside it too, but marked as inland


def test_terrain_without_sea_drains_inland_at_its_edge():
    rng = np.random.default_rng(0)
    network, _ = build_network(projected(rng.random((12, 12)) * 100), factor=4)
    assert (network.downstream[network.terminals] == INLAND).all()


def random_terrain(seed, shape=(24, 30)):
    """Return elevations with a coast, and ESRI's codes of their flow."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.standard_normal(shape), 2.0)
    elevation = 500 * smooth + rng.random(shape) + 60
    elevation[elevation < 20] = np.nan
    elevation[0, 0] = 50.0
    _, codes = pyflwdir.dem.fill_depressions(elevation, nodata=np.nan)
    return elevation, codes


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.integers(2, 9))
def test_every_cell_belongs_where_its_water_first_comes_to_an_outlet(seed, factor):
    elevation, codes = random_terrain(seed)
    network, labels = build_network(
        geographic(elevation), geographic(codes), factor=factor
    )
    data, labelled = network.data, labels.values
    land = np.isfinite(elevation)
    assert ((labelled > 0) == land).all()
    row = np.round(-data["lat"].values / 0.1).astype(int)
    column = np.round(data["lon"].values / 0.1).astype(int)
    ends = list(zip(row.tolist(), column.tolist(), strict=True))
    outlets = {cell: k for k, cell in enumerate(ends)}
    assert len(outlets) == network.size

    def flow(cell):
        """Return the next cell, or the same at the end."""
        code = int(codes[cell])
        step = STEPS.get(code, (0, 0))
        return cell[0] + step[0], cell[1] + step[1]

    for cell in np.argwhere(land).tolist():
        here = tuple(cell)
        owner = int(labelled[here]) - 1
        while here not in outlets and flow(here) != here:
            here = flow(here)
        if here in outlets:
            assert owner == outlets[here]
        else:  # a short river of the coast, taken by its square
            assert data["row"].values[owner] == here[0] // factor
            assert data["column"].values[owner] == here[1] // factor
    for k, here in enumerate(ends):
        after = flow(here)
        expected = int(labelled[after]) - 1 if after != here else MOUTH
        assert network.downstream[k] in (expected, INLAND)
        assert (network.downstream[k] == INLAND) <= (after == here)
        assert data["row"].values[k] == here[0] // factor
        assert data["column"].values[k] == here[1] // factor
    area = latlon_grid(labels).area()
    sums = np.bincount(labelled.ravel(), area.ravel())[1:]
    assert data["area"].values == pytest.approx(sums, rel=1e-12)
    bank = data["elevation"].values
    inner = network.downstream >= 0
    fall = bank[inner] - bank[network.downstream[inner]]
    least = 1e-5 * data["downstream_distance"].values[inner]
    assert (fall >= least * (1 - 1e-9)).all()
    assert (np.diff(data["floodplain_height"].values, axis=1) >= 0).all()
    side = factor * np.sqrt(area.mean())
    long = data["downstream_distance"].values[inner]
    assert long.min(initial=np.inf) >= 0.2 * side


@pytest.fixture(scope="module")
def continent():
    elevation = synthetic_terrain(seed=0)
    return elevation, *build_network(elevation, factor=8)


def test_the_continent_has_nine_basins_of_many_catchments(continent):
    _, network, labels = continent
    assert 500 < network.size < 700
    sizes = np.sort(np.bincount(network.basin))[::-1]
    assert sizes[8] >= 15
    assert sizes[:9].sum() > 0.6 * network.size
    assert labels.name == "catchment"
    mouths = network.downstream[network.terminals]
    assert (mouths == MOUTH).all()


def test_no_area_is_lost_and_runoff_brought_to_catchments_keeps_its_volume(continent):
    elevation, network, labels = continent
    land = latlon_grid(elevation).area()[np.isfinite(elevation.values)].sum()
    assert network.data["area"].sum().item() == pytest.approx(land, rel=1e-12)
    coarse = xr.DataArray(
        np.random.default_rng(0).random((12, 18)),
        {"lat": np.linspace(6.5, -6.5, 12), "lon": np.linspace(-9, 9, 18)},
        ("lat", "lon"),
    )
    regridder = conservative_regions(coarse, labels, network.ids)
    assert np.allclose(regridder.target.area, network.data["area"], rtol=1e-12, atol=0)
    fine = conservative(coarse, elevation).apply(coarse)
    expected = (fine.values * latlon_grid(elevation).area())[labels.values > 0].sum()
    means = regridder.apply(coarse)
    volume = (means * network.data["area"]).sum().item()
    assert volume == pytest.approx(expected, rel=1e-12)


def test_channels_are_those_of_the_runoff(continent):
    elevation, network, labels = continent
    data = network.data
    volume = runoff_volume(data["area"].values, 300.0)
    discharge = network.accumulate(volume)
    assert np.allclose(data["mean_discharge"], discharge, rtol=1e-12, atol=0)
    assert np.array_equal(data["river_width"], channel_width(data["mean_discharge"]))
    assert np.array_equal(data["river_depth"], channel_depth(data["mean_discharge"]))
    # A map of runoff: north 200, south 600 mm a year, given per day.
    grid = {"lat": [30.0, -30.0], "lon": np.arange(-35.0, 40.0, 10.0)}
    runoff = xr.DataArray([[200.0] * 8, [600.0] * 8], grid, ("lat", "lon"))
    daily = (runoff / 365.2425).assign_attrs(units="mm day-1")
    mapped, _ = build_network(elevation, factor=8, runoff=daily)
    mass = (runoff / 365.2425 / 86400).assign_attrs(units="kg m-2 s-1")
    same, _ = build_network(elevation, factor=8, runoff=mass)
    local = conservative_regions(runoff, labels, network.ids).apply(runoff)
    expected = network.accumulate(runoff_volume(data["area"].values, local.values))
    for built in (mapped, same):
        found = built.data["mean_discharge"].values
        assert found == pytest.approx(expected, rel=1e-9)
    assert local.min() == pytest.approx(200.0)
    assert local.max() == pytest.approx(600.0)
    assert ((local > 210.0) & (local < 590.0)).sum() > 10


def test_catchments_are_as_large_as_asked(continent):
    elevation, network, _ = continent
    cell = latlon_grid(elevation).area().mean()
    other, _ = build_network(elevation, catchment_area=64.3 * cell)
    assert other.data.drop_attrs().identical(network.data.drop_attrs())


def test_flat_land_gets_the_least_slope_and_it_is_said(caplog):
    flat = np.full((12, 24), 5.0)
    flat[:, -1] = np.nan
    with caplog.at_level(logging.INFO, logger="tilth.rivers.network.build"):
        network, _ = build_network(projected(flat), factor=4)
    inner = network.downstream >= 0
    assert network.data.attrs["raised_banks"] == inner.sum() > 0
    assert "banks raised, for rivers to fall by at least 1e-05" in caplog.text
    bank = network.data["elevation"].values
    fall = bank[inner] - bank[network.downstream[inner]]
    distance = network.data["downstream_distance"].values[inner]
    assert fall == pytest.approx(1e-5 * distance, rel=1e-6)
    untouched, _ = build_network(projected(flat), factor=4, least_slope=0.0)
    assert (untouched.data["elevation"] == 5.0).all()


def test_rises_along_a_river_stay_only_if_asked_for(valley):
    elevation, flow = valley
    blocked = elevation.copy()
    blocked[1, 3] = 2.3  # the mouth above the bank before it
    fallen, _ = build_network(blocked, flow, factor=1, least_slope=0.0)
    kept, _ = build_network(blocked, flow, factor=1, adverse_slopes=True)
    assert kept.data["elevation"].values[6:8].tolist() == [2.0, 2.3]
    assert fallen.data["elevation"].values[6:8].tolist() == [2.0, 2.0]
    assert "raised_banks" not in kept.data.attrs


def test_a_network_from_a_file_is_that_from_memory(tmp_path, valley):
    network, _ = build_network(*valley, factor=2)
    back = type(network).open(network.to_netcdf(tmp_path / "network.nc"))
    assert back.data.identical(network.data)


def test_what_cannot_be_built_is_refused(valley):
    elevation, flow = valley
    rough = geographic(np.random.default_rng(0).random((8, 8)) * 100)
    runoff = xr.DataArray(
        np.full((2, 2), 1.0), {"lat": [40.0, 30.0], "lon": [0.0, 10.0]},
        ("lat", "lon"), attrs={"units": "mm day-1"},
    )  # fmt: skip
    several = runoff.expand_dims(time=3).assign_coords(lat=[5.0, -5.0])
    circle = projected(np.array([[EAST, SOUTH], [NORTH, 16]], np.uint8))
    cases = [
        ({}, "elevation, flow_direction or both"),
        ({"elevation": elevation}, "one of them"),
        ({"elevation": elevation, "factor": 2, "catchment_area": 1e7}, "one of them"),
        ({"elevation": elevation, "factor": 0}, "1 to 5 cells wide"),
        ({"elevation": elevation, "factor": 9}, "1 to 5 cells wide"),
        ({"elevation": elevation, "catchment_area": 1e5}, "at least that of a cell"),
        ({"elevation": elevation, "factor": 2, "encoding": "ldd"}, "not given"),
        ({"elevation": elevation, "factor": 2, "runoff": -1.0}, "above zero"),
        ({"elevation": elevation, "factor": 2, "runoff": runoff}, "along latitude"),
        ({"elevation": rough, "factor": 2, "runoff": runoff}, "no value over"),
        ({"elevation": rough, "factor": 2, "runoff": several}, "one map"),
        ({"elevation": elevation, "factor": 2, "least_slope": -1.0}, "least_slope"),
        ({"flow_direction": circle, "factor": 1}, "goes in circles: .* of 4 cells"),
        (
            {"elevation": rough, "flow_direction": flow, "factor": 2},
            "must be on the same cells; they are on 8 lat from 0 to -0.7 and 8 lon",
        ),
        (
            {"elevation": elevation.where(elevation > 2), "flow_direction": flow,
             "factor": 2},
            "2 cells have a flow_direction and no elevation",
        ),
    ]  # fmt: skip
    for options, said in cases:
        with pytest.raises(InputError, match=said):
            build_network(**options)
