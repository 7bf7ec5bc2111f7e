import numpy as np
import pandas as pd
import pytest

from tilth.core.constants import STEFAN_BOLTZMANN
from tilth.core.errors import InputError
from tilth.land.model.parameters import parameter_dataset
from tilth.land.model.runs import run
from tilth.land.readers.fluxnet import (
    longwave_down,
    monthly_leaf_area,
    read_daily_reanalysis,
    read_tower,
)


def tables(tmp_path, **changes):
    ends = pd.date_range("2019-07-01 00:00", periods=4, freq="30min").astype(str)
    weather = pd.DataFrame(
        {
            "TIMESTAMP_END": ends,
            "TA_F": [13.7, 13.9, 14.0, 14.1],
            "SW_IN_F": [0.0, 0.0, 10.0, 20.0],
            "eair": 0.97,
            "PA_F": 86.0,
            "WS_F": 2.2,
            "CO2_F_MDS": 396.8,
            "LAI": 1.25,
            **changes,
        }
    )
    fluxes = pd.DataFrame(
        {
            "TIMESTAMP_END": ends,
            "P_F": [0.0, 1.8, 0.0, 0.0],
            "LE_F_MDS": 5.0,
            "H_F_MDS": -36.0,
            "NETRAD": -74.0,
            "G_F_MDS": -4.0,
        }
    )
    paths = tmp_path / "forcing.csv", tmp_path / "fluxes.csv"
    weather.to_csv(paths[0], index=False)
    fluxes.to_csv(paths[1], index=False)
    return paths


def test_local_ends_become_beginnings_in_utc(tmp_path):
    forcing, observed = read_tower(*tables(tmp_path), "US-Me2")
    # Midnight at the Pacific ends the half hour from 07:30 UTC.
    assert forcing["time"].values[0] == np.datetime64("2019-07-01T07:30")
    np.testing.assert_allclose(forcing["PSurf"], 86000.0)
    np.testing.assert_allclose(forcing["Rainf"][1], 1e-3)
    np.testing.assert_allclose(forcing["CO2air"], 396.8e-6)
    np.testing.assert_allclose(observed["Qle"], 5.0)


def test_humidity_above_saturation_is_set_to_it_and_counted(tmp_path):
    forcing, _ = read_tower(*tables(tmp_path, eair=[0.97, 2.5, 2.5, 0.97]), "US-Me2")
    assert forcing["Qair"].attrs["comment"].startswith("2 values")
    assert float(forcing["Qair"].max()) < 0.0125


def test_measured_longwave_is_preferred(tmp_path):
    forcing, _ = read_tower(*tables(tmp_path, LW_IN_F=333.0), "US-Me2")
    np.testing.assert_allclose(forcing["LWdown"], 333.0)


def test_overcast_air_shines_like_a_black_body_and_clear_air_less():
    """At 20 degC and 10 hPa w = 1.586, so 1 - 2.586 exp(-2.441) = 0.775 (Prata)."""
    start = np.datetime64("2001-06-20", "ns") + np.arange(48) * np.timedelta64(30, "m")
    warm = np.full(48, 293.15)
    rest = ((45.0, 0.0), warm, np.full(48, 1000.0), np.full(48, 1e5))
    dark = longwave_down(start, 1800.0, *rest, np.zeros(48))
    np.testing.assert_allclose(dark, STEFAN_BOLTZMANN * warm**4)
    bright = longwave_down(start, 1800.0, *rest, np.full(48, 2000.0))
    np.testing.assert_allclose(bright / dark, 0.775, atol=0.001)


def test_unknown_sites_and_absent_columns_are_refused(tmp_path):
    paths = tables(tmp_path)
    with pytest.raises(InputError, match="no site 'US-Bo9'"):
        read_tower(*paths, "US-Bo9")
    pd.read_csv(paths[0]).drop(columns="WS_F").to_csv(paths[0], index=False)
    with pytest.raises(InputError, match="lacks the columns WS_F"):
        read_tower(*paths, "US-Me2")


def test_tables_of_different_times_are_refused(tmp_path):
    forcing, fluxes = tables(tmp_path)
    pd.read_csv(fluxes).iloc[1:].to_csv(fluxes, index=False)
    with pytest.raises(InputError, match="different times"):
        read_tower(forcing, fluxes, "US-Me2")


@pytest.fixture(scope="module")
def metolius():
    """Return a function: folder -> a year of pine forest, and what its tower saw."""
    done = []

    def year(folder):
        if not done:
            done.append(_year_at_metolius(folder))
        return done[0]

    return year


def _year_at_metolius(folder):
    forcing, observed = read_tower(
        folder / "US-Me2-forcings-2019-2020.csv.gz",
        folder / "US-Me2-fluxes-2019-2020.csv.gz",
        "US-Me2",
    )
    assert forcing.sizes["time"] == 17568
    pines = parameter_dataset(
        "needleleaf_evergreen",
        "sandy loam",
        latitude=44.45,
        leaf_area=monthly_leaf_area(observed),
        height=18.0,
        reference_height=33.0,
    )
    shown = ("SWnet", "LWnet", "Qle", "Qh", "SWE")
    residuals = ("SurfaceResidual", "EnergyResidual", "WaterResidual")
    steps = run(forcing, pines, output="step", variables=shown + residuals)
    return steps, observed


@pytest.mark.realdata
def test_a_year_at_metolius_closes_its_books_in_every_step(dataset, metolius):
    """17,568 half hours of pine forest with snow; heat and water to rounding."""
    result, observed = metolius(dataset("fluxnet-sites"))
    assert float(result["SurfaceResidual"].max()) < 1e-6
    assert float(result["EnergyResidual"].max()) < 1e-6
    assert float(result["WaterResidual"].max()) < 1e-9
    assert float(result["SWE"].max()) > 1.0
    net = float((result["SWnet"] + result["LWnet"]).mean())
    np.testing.assert_allclose(net, float(observed["Rnet"].mean()), rtol=0.15)


@pytest.mark.realdata
def test_sensible_heat_at_metolius_follows_the_tower(dataset, metolius):
    """RMSE: ecLand 61.5, JULES 62.2 W m-2 here in 2002-2014 (PLUMBER2)."""
    result, observed = metolius(dataset("fluxnet-sites"))
    modelled, seen = result["Qh"].values, observed["Qh"].values
    known = np.isfinite(seen)
    assert known.sum() > 17000
    assert np.corrcoef(modelled[known], seen[known])[0, 1] >= 0.9
    assert np.sqrt(np.mean((modelled - seen)[known] ** 2)) <= 65.0


@pytest.mark.realdata
def test_latent_heat_at_metolius_has_no_spikes(dataset, metolius):
    """Still mornings after dew are in the year: the sun strikes wet, cold leaves."""
    result, _ = metolius(dataset("fluxnet-sites"))
    assert float(result["Qle"].min()) > -100.0
    assert float(result["Qle"].max()) < 700.0


@pytest.mark.realdata
def test_forty_one_years_of_daily_weather_are_read(dataset):
    folder = dataset("fluxnet-sites")
    data = read_daily_reanalysis(folder / "US-Bi1_ERA5_DD_1981-2021.csv.gz", "US-Bi1")
    assert data.sizes["time"] == 14975
    assert 285.0 < float(data["Tair"].mean()) < 292.0
    assert 200.0 < 365.25 * 86400.0 * float(data["Rainf"].mean()) < 600.0
    assert float(data["Qair"].min()) > 0.0
