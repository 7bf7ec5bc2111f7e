"""Real hindcasts of nine members for the Iberian winters, beside E-OBS."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.regrid import bilinear


def _winters(daily):
    """Means of December to February; the start of a winter is 1 December."""
    time = daily["time"]
    year = (time.dt.year + (time.dt.month == 12)).rename("winter")
    mean = daily.groupby(year).mean()
    start = [np.datetime64(f"{y - 1}-12-01", "ns") for y in mean["winter"].values]
    return mean.assign_coords(winter=start).rename(winter="start")


@pytest.fixture
def iberia(dataset):
    """Winter means of precipitation, mm/day: model and observations at 19 cells."""
    folder = dataset("iberia-winters")
    with xr.open_dataset(folder / "CFS_Iberia_pr.nc", engine="h5netcdf") as file:
        # The file holds the mean of the day's 6-hourly totals, mm: four make a day.
        model = 4.0 * file["pr"].load().astype(float)
    with xr.open_dataset(folder / "EOBS_Iberia_pr.nc", engine="h5netcdf") as file:
        cells = file.load()
    at = bilinear(model, cells, reach=0.0).apply(model).dropna("cell", how="all")
    observed = cells["pr"].astype(float).sel(cell=at["cell"])
    return _winters(at), _winters(observed)
