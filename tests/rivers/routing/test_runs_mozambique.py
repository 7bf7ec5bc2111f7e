"""A real map with its bifurcations and sea: restarts, blocks and threads to the bit."""

import numpy as np
import pytest
import xarray as xr

from tilth.rivers.network.cama import read_cama_map
from tilth.rivers.network.cama_paths import read_bifurcations
from tilth.rivers.network.cama_sea_level import (
    read_sea_level,
    read_sea_level_stations,
)
from tilth.rivers.routing.runs import route
from tilth.rivers.routing.settings import Settings
from tilth.rivers.routing.state import (
    filled_channels,
    final_state,
    open_state,
    save_state,
)

pytestmark = pytest.mark.realdata

SETTINGS = Settings(time_step=3600.0)


@pytest.fixture
def case(dataset):
    """Return network, runoff of the ten days of Idai, and the sea every ten minutes."""
    folder = dataset("cama-mozambique")
    network = read_cama_map(folder / "map_moz_06min.nc", width="rivwth_gwdlr")
    network = read_bifurcations(folder / "bifprm.txt", network)
    (sea_file,) = folder.glob("gtsm_*.nc")
    stations = read_sea_level_stations(folder / "GTSM_EVENT.txt", network)
    sea = read_sea_level(sea_file, stations, network)
    with xr.open_dataset(folder / "cama_base_daily2019.nc") as found:
        values = found["runoff"].values[70:80]
    at = values[:, network.data["row"].values, network.data["column"].values]
    runoff = xr.DataArray(
        at,
        coords={
            "time": np.datetime64("2019-03-12", "ns")
            + np.arange(10) * np.timedelta64(1, "D"),
            "catchment": network.ids,
        },
        dims=("time", "catchment"),
        attrs={"units": "m3 s-1"},
    )
    return network, runoff, sea


def same_bits(one, two):
    assert set(one.data_vars) == set(two.data_vars)
    for name in one.data_vars:
        np.testing.assert_array_equal(one[name].values, two[name].values, err_msg=name)


def test_idai_with_sea_and_bifurcations_goes_on_to_the_bit(case, tmp_path):
    network, runoff, sea = case
    options = {"settings": SETTINGS, "sea_level": sea}
    begin = filled_channels(network)
    whole = route(network, runoff, begin, threads=1, **options)
    one = route(network, runoff[:6], begin, threads=2, **options)
    save_state(final_state(one), tmp_path / "eighteenth.nc")
    state = open_state(tmp_path / "eighteenth.nc")
    assert state.attrs["date"].startswith("2019-03-18T00:00")
    two = route(network, runoff[6:], state, **options)
    along = [name for name in whole.data_vars if "time" in whole[name].dims]
    same_bits(whole[along], xr.concat([one[along], two[along]], "time"))
    same_bits(whole.drop_vars(along), two.drop_vars(along))
    blocks = route(network, runoff, begin, blocks=5, **options).compute()
    same_bits(whole, blocks.sel(catchment=network.ids))

    assert float(whole["water_residual"].max()) < 1e-9
    assert float(whole["clipped_volume"].max()) < 1.0
    assert float(abs(whole["path_discharge"]).max()) > 10.0
    tide = route(network, runoff, begin, settings=SETTINGS)
    mouths = network.terminals[network.downstream[network.terminals] == -1]
    assert not np.array_equal(
        tide["water_level"][:, mouths], whole["water_level"][:, mouths]
    )
