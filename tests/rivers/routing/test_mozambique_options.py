"""The same flood with all that a delta has: bifurcations, the tide, a restart."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from tilth.rivers.network.cama import read_cama_map
from tilth.rivers.network.cama_paths import read_bifurcations
from tilth.rivers.network.cama_runs import read_cama_restart
from tilth.rivers.network.cama_sea_level import read_sea_level, read_sea_level_stations
from tilth.rivers.routing.arrays import (
    State,
    empty_ledger,
    empty_totals,
    forcing_of,
)
from tilth.rivers.routing.geometry import geometry_of
from tilth.rivers.routing.kernel import advance
from tilth.rivers.routing.settings import Settings
from tilth.rivers.routing.stage import stages

pytestmark = pytest.mark.realdata

DAY = 86400.0

#: Twenty days around the landfall of Idai, from 5 March 2019.
FIRST, DAYS = 63, 20


@pytest.fixture
def delta(dataset):
    """Return the network with its paths, runoff, sea level and the restart."""
    folder = dataset("cama-mozambique")
    network = read_cama_map(folder / "map_moz_06min.nc", width="rivwth_gwdlr")
    network = read_bifurcations(folder / "bifprm.txt", network).sorted()
    row, column = network.data["row"].values, network.data["column"].values
    with xr.open_dataset(
        folder / "cama_base_daily2019.nc", decode_times=False
    ) as found:
        runoff = found["runoff"].values[FIRST : FIRST + DAYS, row, column].astype(float)
    stations = read_sea_level_stations(folder / "GTSM_EVENT.txt", network)
    level = read_sea_level(
        folder / "gtsm_era5_ro_20190101-20190501_moz.nc", stations, network
    )
    terminals = network.terminals
    sea = np.zeros((DAYS * 144, terminals.size))
    at = np.searchsorted(terminals, network.positions(level["catchment"].values))
    sea[:, at] = level.values[FIRST * 144 : (FIRST + DAYS) * 144]
    restart = read_cama_restart(folder / "restart2019010100.nc", network)
    return SimpleNamespace(
        network=network,
        runoff=runoff,
        sea=sea.reshape(DAYS, 144, -1),
        tidal=terminals[at],
        restart=restart,
    )


def _begin(delta):
    return State(*(delta.restart[n].values.copy() for n in State._fields))


def _route(delta, settings, state, days=range(DAYS), **tables):
    geometry = geometry_of(delta.network, settings, **tables)
    totals, found = empty_totals(geometry), []
    for day in days:
        ledger = empty_ledger(geometry, DAY, settings)
        forcing = forcing_of(
            geometry,
            delta.runoff[day],
            sea_level=delta.sea[day],
            evaporation=np.full(delta.network.size, 5e-3 / DAY),
            infiltration=np.full(delta.network.size, 2e-3 / DAY),
        )
        advance(geometry, state, forcing, DAY, settings, totals, ledger)
        assert np.isfinite(state.storage).all()
        assert (state.storage >= 0.0).all()
        assert ledger.residual.max() < 1e-12
        assert ledger.clipped.sum() < 1e-6
        now = stages(geometry, state.storage)
        found.append(
            {
                "discharge": totals.river + totals.floodplain,
                "path": totals.path.copy(),
                "level": now.water_level,
                "fraction": now.flood_fraction,
                "evaporation": ledger.evaporation.sum(),
                "infiltration": ledger.infiltration.sum(),
            }
        )
    return {name: np.array([day[name] for day in found]) for name in found[0]}


@pytest.mark.parametrize("time_step", [600.0, 3600.0])
def test_paths_tides_and_losses_keep_every_drop_through_the_cyclone(delta, time_step):
    state = _begin(delta)
    found = _route(delta, Settings(time_step=time_step), state)
    assert abs(found["discharge"]).max() < 4e4
    peak = found["discharge"].max()
    assert 1.5e4 < peak < 3e4
    # Paths carry water in both directions, and what leaves one end reaches the other.
    assert found["path"].max() > 50.0
    assert found["path"].min() < -50.0
    np.testing.assert_allclose(
        found["path"].sum(axis=1), 0.0, atol=1e-9 * abs(found["path"]).sum()
    )
    # The tide turns the flow at some mouth even in the mean of a day.
    assert found["discharge"][:, delta.tidal].min() < 0.0
    wet = (found["fraction"] * delta.network.data["area"].values).sum(axis=1) / 1e6
    assert wet.max() > 3000.0
    # Five parts to the air and two to the ground, from what was flooded.
    np.testing.assert_allclose(
        found["infiltration"], 0.4 * found["evaporation"], rtol=1e-9
    )
    mean_area = found["evaporation"].sum() / (5e-3 * DAYS) / 1e6
    assert mean_area == pytest.approx(wet.mean(), rel=0.1)


def test_a_restart_among_paths_and_tides_goes_on_to_the_same_bits(delta):
    settings = Settings(time_step=600.0)
    whole = _begin(delta)
    _route(delta, settings, whole, range(8))
    parts = _begin(delta)
    _route(delta, settings, parts, range(3))
    parts = State(*(values.copy() for values in parts))
    _route(delta, settings, parts, range(3, 8))
    for name, values in whole._asdict().items():
        np.testing.assert_array_equal(values, getattr(parts, name), err_msg=name)


def test_the_kinematic_option_has_no_flow_back_and_peaks_higher(delta):
    state = _begin(delta)
    found = _route(delta, Settings(time_step=600.0, flow="kinematic"), state)
    assert found["discharge"].min() >= 0.0
    assert (found["path"] == 0.0).all()
    inertial = _route(delta, Settings(time_step=600.0), _begin(delta))
    assert found["discharge"].max() != inertial["discharge"].max()
    assert 1e4 < found["discharge"].max() < 6e4
