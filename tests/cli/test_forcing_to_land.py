"""`tilth land run` on hours that were made of days."""

import numpy as np
import xarray as xr

from tilth.cli import main
from tilth.forcing.fields.alma import to_alma
from tilth.forcing.fields.disaggregation import to_hours
from tilth.forcing.files import write_forcing


def test_the_land_model_runs_on_days_made_hours(tmp_path):
    time = xr.date_range("2001-05-01", periods=4)
    day = xr.DataArray(np.zeros((4, 1)), dims=("time", "cell"), coords={"time": time})
    values = {
        "tas": (285.0, "K"),
        "tasmin": (279.0, "K"),
        "tasmax": (292.0, "K"),
        "pr": (8.0, "mm day-1"),
        "huss": (0.006, "kg kg-1"),
        "ps": (96000.0, "Pa"),
        "rsds": (210.0, "W m-2"),
        "rlds": (315.0, "W m-2"),
        "sfcWind": (3.0, "m s-1"),
    }
    days = xr.Dataset(
        {name: (day + v).assign_attrs(units=u) for name, (v, u) in values.items()}
    ).assign_coords(lat=("cell", [47.0]), lon=("cell", [9.0]))
    write_forcing(to_alma(to_hours(days)), tmp_path / "hours.nc", step="made up")
    words = ["land", "run", tmp_path / "hours.nc", "--out", tmp_path / "land.nc"]
    words += ["--land-class", "crop", "--texture", "loam", "--variable", "Qle"]
    words += ["--variable", "Rainf"]
    assert main([str(word) for word in words]) == 0
    with xr.open_dataset(tmp_path / "land.nc", engine="h5netcdf") as land:
        assert land.sizes["time"] == 4
        assert not np.isnan(land["Qle"]).any()
        assert float(land["WaterResidual"].max()) < 1e-9
        assert float(abs(land["EnergyResidual"]).max()) < 1e-6
