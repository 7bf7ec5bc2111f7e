"""Cyclone Idai over Mozambique, 120 days, against CaMa-Flood's own run of them.

The reference is CaMa-Flood v4 in double precision; its output is single precision.
Settings of that run: outer steps of 600 s, one number of sub-steps for all, no
bifurcation, the sea at the bank's elevation, channels filled by the sea at first.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from tilth.rivers.network.cama import read_cama_map
from tilth.rivers.routing.arrays import (
    empty_ledger,
    empty_state,
    empty_totals,
    filled_state,
    forcing_of,
)
from tilth.rivers.routing.geometry import geometry_of
from tilth.rivers.routing.kernel import advance
from tilth.rivers.routing.settings import Settings
from tilth.rivers.routing.stage import stages

pytestmark = pytest.mark.realdata

DAY = 86400.0
OURS = {
    "storge": "storage",
    "rivdph": "river_depth",
    "flddph": "flood_depth",
    "fldfrc": "flood_fraction",
    "sfcelv": "water_level",
}


@pytest.fixture
def case(dataset):
    """Return the map with its catchments in the kernel's order, and the reference."""
    folder = dataset("cama-mozambique")
    network = read_cama_map(folder / "map_moz_06min.nc", width="rivwth_gwdlr").sorted()
    row, column = network.data["row"].values, network.data["column"].values
    with xr.open_dataset(
        folder / "cama_base_daily2019.nc", decode_times=False
    ) as found:
        reference = {
            name: found[name].values[:, row, column].astype(float)
            for name in ("outflw", "runoff", *OURS)
        }
    return SimpleNamespace(network=network, row=row, column=column, **reference)


def _route(case, begin, **chosen):
    """Return daily discharge and stages of a run from the given kind of state."""
    settings = Settings(time_step=600.0, **chosen)
    geometry = geometry_of(case.network, settings)
    state, totals = begin(geometry), empty_totals(geometry)
    days = []
    for runoff in case.runoff:
        ledger = empty_ledger(geometry, DAY, settings)
        advance(
            geometry,
            state,
            forcing_of(geometry, runoff),
            DAY,
            settings,
            totals,
            ledger,
        )
        days.append(
            {
                "outflw": totals.river + totals.floodplain,
                "storage": state.storage.copy(),
                "substeps": ledger.substeps,
                "outflow": ledger.outflow.sum(),
                "residual": ledger.residual.max(),
                "clipped": ledger.clipped.sum(),
                **stages(geometry, state.storage)._asdict(),
            }
        )
    run = {name: np.array([day[name] for day in days]) for name in days[0]}
    return SimpleNamespace(geometry=geometry, **run)


def _at(case, row, column):
    return np.flatnonzero((case.row == row) & (case.column == column))[0]


def _efficiency(case, found):
    """Return Nash and Sutcliffe's efficiency where the mean is above 5 m3 s-1."""
    reference = case.outflw
    there = np.isfinite(reference).all(axis=0)
    there[there] = reference[:, there].mean(axis=0) > 5.0
    found, reference = found[:, there], reference[:, there]
    spread = ((reference - reference.mean(axis=0)) ** 2).sum(axis=0)
    return 1.0 - ((found - reference) ** 2).sum(axis=0) / spread


def test_the_run_is_cama_flood_s_to_the_precision_of_its_output(case):
    run = _route(case, filled_state, steps_by="globe")
    efficiency = _efficiency(case, run.outflw)
    assert efficiency.size == 435
    assert efficiency.min() > 1.0 - 1e-13
    there = np.isfinite(case.outflw).all(axis=0)
    assert there.sum() == 1180
    np.testing.assert_allclose(
        run.outflw[:, there], case.outflw[:, there], rtol=1e-5, atol=1e-3
    )
    for theirs, ours in OURS.items():
        np.testing.assert_allclose(
            getattr(run, ours)[:, there],
            getattr(case, theirs)[:, there],
            rtol=2e-6,
            atol=1e-5,
            err_msg=ours,
        )
    numbers, times = np.unique(run.substeps, return_counts=True)
    assert dict(zip(numbers, times, strict=True)) == {1: 10360, 2: 6867, 3: 53}


def test_the_flood_has_the_size_and_the_days_given(case):
    run = _route(case, filled_state, steps_by="globe")
    flooded = (run.flood_fraction * run.geometry.area).sum(axis=1) / 1e6
    assert flooded.argmax() == 76
    assert flooded.max() == pytest.approx(5119.0, abs=0.5)
    day, place = np.unravel_index(run.outflw.argmax(), run.outflw.shape)
    assert (day, case.row[place], case.column[place]) == (76, 29, 21)
    assert run.outflw.max() == pytest.approx(23_050.0, abs=0.5)
    large, small = run.outflw[:, _at(case, 28, 27)], run.outflw[:, _at(case, 39, 30)]
    assert (large.argmax(), small.argmax()) == (77, 52)
    assert large.mean() == pytest.approx(1155.91, abs=5e-3)
    assert large.max() == pytest.approx(22_265.9, abs=0.05)
    assert small.mean() == pytest.approx(18.60, abs=5e-3)
    assert small.max() == pytest.approx(229.5, abs=0.05)
    assert run.outflw.min() == pytest.approx(-1077.0, abs=0.5)
    assert run.storage[-1].sum() == pytest.approx(5.607e8, rel=2e-4)
    assert case.runoff.sum() * DAY == pytest.approx(2.7808e10, rel=2e-5)
    assert run.outflow.sum() == pytest.approx(2.7270e10, rel=2e-5)
    assert run.residual.max() < 1e-13
    assert run.clipped.sum() < 1e-6


@pytest.mark.parametrize("steps_by", ["globe", "basin"])
def test_the_gate_is_passed_from_an_empty_network_and_with_own_steps_for_basins(
    case, steps_by
):
    run = _route(case, empty_state, steps_by=steps_by)
    assert _efficiency(case, run.outflw).min() > 0.998
    assert run.storage[-1].sum() == pytest.approx(5.607e8, rel=5e-3)
    assert run.residual.max() < 1e-13
    if steps_by == "basin":
        assert run.substeps.shape[1] == 68
        assert run.substeps.sum(axis=1).mean() < 68 * 144 * 1.1


def test_hourly_steps_of_each_basin_s_own_tell_the_same_flood(case):
    settings = Settings()
    assert (settings.time_step, settings.steps_by) == (3600.0, "basin")
    geometry = geometry_of(case.network, settings)
    state, totals = filled_state(geometry), empty_totals(geometry)
    found = []
    for runoff in case.runoff:
        ledger = empty_ledger(geometry, DAY, settings)
        advance(
            geometry, state, forcing_of(geometry, runoff), DAY, settings, totals, ledger
        )
        found.append(totals.river + totals.floodplain)
        assert ledger.residual.max() < 1e-12
    assert np.median(_efficiency(case, np.array(found))) > 0.999
