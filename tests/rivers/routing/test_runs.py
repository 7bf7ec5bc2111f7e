"""Runs of the rivers on datasets: restarts, books, units, calendars, bad input."""

import contextlib

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError, UnitsError
from tilth.rivers.routing import runs as module
from tilth.rivers.routing.levees import Levees
from tilth.rivers.routing.output import LEDGER, VARIABLES
from tilth.rivers.routing.reservoirs import Reservoirs
from tilth.rivers.routing.runs import route
from tilth.rivers.routing.settings import Settings
from tilth.rivers.routing.state import final_state, open_state, save_state

SLOW_GROUND = Settings(groundwater_delay=2 * 86400.0)


@pytest.fixture(scope="module")
def network(made_up_rivers):
    return made_up_rivers()


@pytest.fixture(scope="module")
def runoff(network, made_up_runoff):
    return made_up_runoff(network)


@pytest.fixture(scope="module")
def full(network, runoff, everything):
    """Return a run with everything on it, and what acted on it."""
    acting = everything(network, runoff)
    return route(network, runoff, settings=SLOW_GROUND, output="6h", **acting), acting


def same_bits(one, two):
    assert set(one.data_vars) == set(two.data_vars)
    for name in one.data_vars:
        np.testing.assert_array_equal(one[name].values, two[name].values, err_msg=name)


def half(acting, part):
    """Return what acts on a part of the time."""
    return {
        name: thing.isel(time=part)
        if name in ("base_runoff", "infiltration")
        else thing
        for name, thing in acting.items()
    }


def test_the_run_with_everything_has_everything(full):
    result, _ = full
    assert float(result["flood_fraction"].max()) > 0.05
    assert float(result["evaporation_volume"].min()) > 0.0
    assert float(result["infiltration_volume"].max()) > 0.0
    assert float(abs(result["path_discharge"]).max()) > 0.1
    assert float(result["state_groundwater"].min()) > 0.0
    assert float(result["river_discharge"].min()) < 0.0  # the tide runs in


def test_every_change_of_what_acts_changes_the_result(full, network, runoff):
    result, acting = full
    for name in acting:
        rest = {key: thing for key, thing in acting.items() if key != name}
        without = route(network, runoff, settings=SLOW_GROUND, output="6h", **rest)
        assert not np.array_equal(without["storage"], result["storage"]), name


@pytest.mark.parametrize("through_file", [False, True])
def test_two_halves_are_the_whole_to_the_last_bit(
    full, network, runoff, tmp_path, through_file
):
    whole, acting = full
    first, second = slice(0, 3), slice(3, 8)
    options = {"settings": SLOW_GROUND, "output": "6h"}
    one = route(network, runoff.isel(time=first), **options, **half(acting, first))
    state = final_state(one)
    if through_file:
        save_state(state, tmp_path / "state.nc")
        state = open_state(tmp_path / "state.nc")
    two = route(
        network, runoff.isel(time=second), state, **options, **half(acting, second)
    )
    along = [name for name in whole.data_vars if "time" in whole[name].dims]
    joined = xr.concat([one[along], two[along]], "time")
    same_bits(whole.drop_vars(along), two.drop_vars(along))
    same_bits(whole[along], joined)


def test_the_result_depends_neither_on_threads_nor_on_the_order(full, network, runoff):
    whole, acting = full
    options = {"settings": SLOW_GROUND, "output": "6h", **acting}
    for threads in (1, 2, 5):
        same_bits(whole, route(network, runoff, threads=threads, **options))
    shuffled = np.random.default_rng(0).permutation(network.size)
    mixed = route(network, runoff.isel(catchment=shuffled), **options)
    same_bits(whole, mixed)


def test_the_order_of_the_networks_basins_does_not_matter(
    network, runoff, made_up_runoff
):
    plain = route(network, runoff)
    other = route(network.sorted(), runoff)
    back = other.sel(catchment=network.ids)
    np.testing.assert_array_equal(plain["discharge"], back["discharge"])
    np.testing.assert_array_equal(plain["storage_volume"], back["storage_volume"])


def test_the_books_close_with_the_output_alone(full, network, runoff):
    result, acting = full
    seconds = 6 * 3600.0
    area = network.data["area"].values
    came = (runoff + acting["base_runoff"]).values / 86400e3 * area * seconds
    np.testing.assert_allclose(result["runoff_volume"], came.sum(axis=1), rtol=1e-12)
    ends = result.isel(catchment=network.terminals)
    np.testing.assert_allclose(
        result["outflow_volume"],
        ends["discharge"].sum("catchment") * seconds,
        rtol=1e-9,
    )
    for name in ("evaporation", "infiltration"):
        np.testing.assert_allclose(
            result[f"{name}_volume"], result[name].sum("catchment") * seconds, rtol=1e-9
        )
    balance = result["runoff_volume"] - sum(
        result[name]
        for name in (
            "outflow_volume",
            "evaporation_volume",
            "infiltration_volume",
            "storage_change",
        )
    )
    assert float(abs(balance / result["storage_volume"]).max()) < 1e-12
    assert float(result["water_residual"].max()) < 1e-9
    held = result["state_storage"].sum() + result["state_groundwater"].sum()
    np.testing.assert_allclose(result["storage_volume"][-1], held, rtol=1e-12)


def test_longer_intervals_hold_the_means_and_the_ends_of_shorter_ones(
    full, network, runoff
):
    fine, acting = full
    coarse = route(network, runoff, settings=SLOW_GROUND, output="1D", **acting)
    parts = fine.coarsen(time=4)
    for name, row in VARIABLES.items():
        if row.method == "mean":
            np.testing.assert_allclose(
                coarse[name], parts.mean()[name], rtol=1e-12, atol=1e-9
            )
        else:
            np.testing.assert_array_equal(coarse[name], fine[name][3::4])
    np.testing.assert_allclose(
        coarse["runoff_volume"], parts.sum()["runoff_volume"], rtol=1e-14
    )
    np.testing.assert_array_equal(
        coarse["water_residual"], parts.max()["water_residual"]
    )
    np.testing.assert_allclose(coarse["substeps"], parts.sum()["substeps"], rtol=1e-14)
    np.testing.assert_array_equal(coarse["time"], fine["time"][::4])


def test_rates_per_area_and_volumes_are_the_same_runoff(network, runoff):
    area = xr.DataArray(network.data["area"].values, dims="catchment")
    rate = runoff / 86400.0
    plain = route(network, runoff, variables=["discharge"])
    for given in (
        rate.assign_attrs(units="kg m-2 s-1"),
        (rate / 1000.0).assign_attrs(units="m s-1"),
        (runoff / 24.0).assign_attrs(units="mm hour-1"),
        (rate / 1000.0 * area).assign_attrs(units="m3 s-1"),
    ):
        other = route(network, given, variables=["discharge"])
        np.testing.assert_allclose(
            other["discharge"], plain["discharge"], rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
def test_every_calendar_is_stepped_through(network, runoff, calendar):
    time = xr.date_range(
        "2020-02-27", periods=8, freq="1D", calendar=calendar, use_cftime=True
    )
    result = route(network, runoff.assign_coords(time=time), output="2D")
    ends = {
        "standard": "2020-03-06 00:00:00",
        "noleap": "2020-03-07 00:00:00",
        "360_day": "2020-03-05 00:00:00",
    }
    assert result.attrs["end"] == ends[calendar]
    assert result.sizes["time"] == 4
    daily = runoff.assign_coords(time=np.arange(8) * np.timedelta64(1, "D") + time0())
    np.testing.assert_array_equal(
        result["discharge"], route(network, daily, output="2D")["discharge"]
    )


def time0():
    return np.datetime64("2001-01-01", "ns")


def test_only_the_variables_asked_for_come_and_all_say_what_they_are(network, runoff):
    result = route(network, runoff, variables=["flood_depth", "discharge"])
    assert [name for name in VARIABLES if name in result] == [
        "discharge",
        "flood_depth",
    ]
    assert set(LEDGER) <= set(result.data_vars)
    for name, array in result.data_vars.items():
        assert {"units", "long_name"} <= set(array.attrs), name
    assert result["discharge"].attrs["cell_methods"] == "time: mean"
    assert result["flood_depth"].attrs["cell_methods"] == "time: point"
    assert (
        result["discharge"].attrs["standard_name"]
        == "water_volume_transport_in_river_channel"
    )
    assert "rivers routed" in result.attrs["history"]
    assert "courant=0.7" in result.attrs["history"]
    assert result.attrs["end"].startswith("2019-03-03T00:00")
    assert {"lat", "lon"} <= set(result.coords)


def test_a_long_run_shows_how_far_it_has_come(network, runoff, monkeypatch):
    works = []
    plain = module.progress

    @contextlib.contextmanager
    def watched(description, total):
        with plain(description, total) as work:
            works.append(work)
            yield work

    monkeypatch.setattr(module, "progress", watched)
    route(network, runoff, output="12h")
    (work,) = works
    assert (work.description, work.total, work.done) == ("routing", 4, 4)


def test_rivers_without_runoff_and_sea_stay_dry(network, runoff):
    result = route(network, 0.0 * runoff.assign_attrs(units="m3 s-1"), sea_level=-40.0)
    assert float(abs(result["discharge"]).max()) == 0.0
    assert float(result["storage"].max()) == 0.0


def test_a_falling_sea_below_zero_is_no_error_and_drains(network, runoff):
    high = route(network, runoff, sea_level=2.0)
    low = route(network, runoff, sea_level=-2.0)
    assert float(low["storage_volume"][-1]) < float(high["storage_volume"][-1])


def test_the_ledger_counts_negative_runoff_that_finds_no_water(network, runoff):
    dew = xr.full_like(runoff, -0.5)
    result = route(network, dew.assign_attrs(units="mm day-1"), sea_level=-40.0)
    asked = 0.5e-3 * network.data["area"].values.sum()
    np.testing.assert_allclose(result["shortfall_volume"], asked, rtol=1e-12)
    assert float(abs(result["runoff_volume"]).max()) < 1e-3
    assert float(result["storage"].max()) == 0.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"output": "5h"}, "no multiple of the step of 21600 s"),
        ({"output": "daily"}, "is no interval"),
        ({"output": "5D"}, "no whole number of output intervals of 20"),
        ({"variables": ["depth"]}, "no output variable depth; there are discharge"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"blocks": 0}, "blocks must be at least 1"),
    ],
)
def test_wrong_choices_are_refused(network, runoff, change, words):
    with pytest.raises(InputError, match=words):
        route(network, runoff, **change)


def test_tables_of_catchments_elsewhere_are_refused(network, runoff):
    with pytest.raises(InputError, match="no catchment 1000000"):
        route(network, runoff, reservoirs=Reservoirs([10**6], 1e8, 10.0, 100.0))
    with pytest.raises(InputError, match="no catchment 1000000"):
        route(network, runoff, levees=Levees([3, 10**6], 0.2, 3.0))


def test_wrong_units_are_refused_with_those_that_would_do(network, runoff):
    with pytest.raises(UnitsError, match="runoff is in 'K', it must be m3 s-1 per"):
        route(network, runoff.assign_attrs(units="K"))
    bare = runoff.copy()
    bare.attrs = {}
    with pytest.raises(UnitsError, match="no 'units' attribute"):
        route(network, bare)
    loss = runoff.assign_attrs(units="m3 s-1")
    with pytest.raises(UnitsError, match="evaporation is in 'm3 s-1', it must be a"):
        route(network, runoff, evaporation=loss)


def test_a_dam_cuts_the_flood_below_it_and_keeps_to_its_capacity(network):
    dam = network.ids[np.argmax(network.accumulate(np.ones(network.size)) == 20)]
    place = int(network.positions([dam])[0])
    hours = np.arange(240)
    storm = 0.5 + 40.0 * np.exp(-(((hours - 60) / 20.0) ** 2))
    flood = xr.DataArray(
        storm[:, None] * np.ones(network.size),
        coords={
            "time": np.datetime64("2019-03-01", "ns") + hours * np.timedelta64(1, "h"),
            "catchment": network.ids,
        },
        dims=("time", "catchment"),
        attrs={"units": "mm day-1"},
    )
    free = route(network, flood, output="step")
    volume = float(free["discharge"][:, place].sum()) * 3600.0
    peak = float(free["discharge"][:, place].max())

    def with_dam(capacity):
        flows = {"normal_flow": 0.1 * peak, "flood_flow": 0.3 * peak}
        built = Reservoirs([dam], capacity=capacity, **flows)
        return route(network, flood, output="step", reservoirs=built)

    large = with_dam(2.0 * volume)
    below = large["discharge"].values[:, place]
    assert below.max() < 0.6 * peak
    assert below.argmax() > free["discharge"].values[:, place].argmax()
    small = with_dam(0.2 * volume)
    top = float(small["storage"][:, place].max())
    assert 0.18 * volume < top <= 0.2 * volume * (1 + 1e-3)
    for held in (large, small):
        assert float(held["water_residual"].max()) < 1e-9


def test_levees_keep_the_floodplain_dry_and_the_river_high(network, runoff):
    free = route(network, runoff, output="step")
    every = Levees(network.ids, share=0.05, crown=100.0)
    walled = route(network, runoff, output="step", levees=every)
    assert float(walled["flood_fraction"].max()) <= 0.05 + 1e-12
    assert float(free["flood_fraction"].max()) > 0.1
    assert float(walled["water_level"].mean()) > float(free["water_level"].mean())
    assert float(walled["water_residual"].max()) < 1e-9
